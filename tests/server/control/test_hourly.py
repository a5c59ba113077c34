from pathlib import Path

import numpy as np
import pytest

from server.control.hourly import Hourly, hourly, like_an_hour
from server.control.last_hour import LastHour
from server.routing.counters import Counts
from tests.server.control.planned import window
from tests.server.control.served import Worker, control_plane, serving
from tests.server.control.told import CHAT, CODE, NOW_S, answered, service

GROUP = CODE[:2]


def counted(*, decided: int, shed: int = 0) -> LastHour:
    """Since ten minutes."""
    hour = LastHour()
    hour.begin(now_s=0.0)
    hour.add(("group", GROUP), Counts(decided=decided, shed=shed), now_s=590.0)
    return hour


def test_a_burst_is_spread_over_all_the_time_that_was_counted() -> None:
    found = hourly(counted(decided=1_000), [GROUP], now_s=600.0)
    assert found.averaged_s == 600.0
    assert found.requests.tolist() == [6_000.0]


def test_requests_that_were_refused_are_demand_too() -> None:
    found = hourly(counted(decided=100, shed=900), [GROUP], now_s=600.0)
    assert found.requests.tolist() == [6_000.0]


def test_a_class_and_payer_of_which_nothing_came_has_no_requests() -> None:
    found = hourly(counted(decided=100), [CHAT[:2], GROUP], now_s=600.0)
    assert found.requests.tolist() == [0.0, 600.0]


def test_an_hour_is_spread_over_cells_as_the_window_is() -> None:
    cells = [CODE._replace(domain=name) for name in ("law", "other")]
    problem = window(cells, demand=[3.0, 1.0], cost_nano_usd=[(1.0, 2.0)] * 2).problem
    typical = like_an_hour(problem, Hourly(np.array([7_200.0]), 3_600.0), window_s=5.0)
    assert typical.demand == pytest.approx([7.5, 2.5])


def test_a_class_that_is_silent_in_this_window_is_spread_evenly() -> None:
    cells = [CODE._replace(domain=name) for name in ("law", "other")]
    problem = window(cells, demand=[0.0, 0.0], cost_nano_usd=[(1.0, 2.0)] * 2).problem
    typical = like_an_hour(problem, Hourly(np.array([7_200.0]), 3_600.0), window_s=5.0)
    assert typical.demand == pytest.approx([5.0, 5.0])


async def test_a_service_that_has_just_begun_spreads_what_came_over_a_minute(
    tmp_path: Path,
) -> None:
    plane = control_plane(tmp_path, service(window_s=0.05), clock=lambda: NOW_S)
    async with serving(plane, tmp_path) as served:
        await Worker(served.channel).push(answered(CODE, "small", 20))
        plan = await served.planned(lambda plan: plan.cost_nano_usd_per_hour > 0)
    assert plan.averaged_s == 60.0
    assert plan.classes[0].requests_per_hour == 20 * 60
