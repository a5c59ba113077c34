import numpy as np
import pytest

from server.config.schema import Config
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.window import CELLS_MAX, Window
from server.routing.catalog import Cell
from tests.server.control.learning import learned, window_of
from tests.server.control.told import (
    CHAT,
    CODE,
    LARGE,
    NOW_S,
    SMALL,
    answered,
    push,
    service,
    stats,
)
from turnout.v1 import control_pb2 as pb

DOWN = [pb.EndpointStats(model="small", address=f"127.0.0.1:{n}", ejected=True) for n in (1, 2)]


def known(config: Config, *pushed: pb.CellStats) -> tuple[Knowledge, Estimates]:
    """What is known and believed after one window of 5 s."""
    found = Knowledge(config)
    found.count_push(push(*pushed), now_s=NOW_S)
    return found, learned(found)


def built(config: Config, *pushed: pb.CellStats) -> Window:
    window = window_of(*known(config, *pushed))
    assert window is not None
    return window


def test_before_any_request_there_is_nothing_to_plan() -> None:
    assert window_of(Knowledge(service()), Estimates()) is None


def test_demand_is_the_requests_of_a_window() -> None:
    window = built(service(window_s=2.0), answered(CODE, "small", 50))
    assert window.cells == (CODE,)
    assert window.problem.demand == pytest.approx([20.0])
    assert window.problem.models == ("small", "large")


def test_a_request_costs_its_tokens_its_request_and_its_busy_seconds() -> None:
    price = {
        "input_usd_per_mtok": 1.0,
        "output_usd_per_mtok": 2.0,
        "request_usd": 0.001,
        "busy_second_usd": 0.5,
    }
    told = stats(
        CODE,
        "small",
        decided=10_000,
        ended=10_000,
        attempts=10_000,
        answered=10_000,
        input_tokens=1_000_000,
        output_tokens=500_000,
        busy_s=30.0,
    )
    window = built(service(models=(SMALL | {"price": price}, LARGE)), told)
    # 100 tokens in, 50 out and 3 ms, each.
    expected = 100_000 + 100_000 + 1_000_000 + 1_500_000
    assert window.problem.cost_nano_usd[0, 0] == pytest.approx(expected, rel=0.02)


def test_a_group_promises_what_its_class_does() -> None:
    (group,) = built(service(), answered(CODE, "small", 50)).problem.groups
    assert (group.traffic_class, group.payer) == ("code", "team")
    assert group.miss_max == pytest.approx(0.1)
    assert not group.floor_before_slo


def test_a_floor_is_planned_with_a_margin_that_shrinks_as_grades_come() -> None:
    found, estimates = known(service(), answered(CODE, "small", 50))
    asked = []
    for grades in (0, 1_000, 99_000):
        for _ in range(grades):
            estimates.accuracy.record_grade(CODE, "small", 0.85, 1.0, NOW_S)
        window = window_of(found, estimates)
        assert window is not None
        asked.append(window.problem.groups[0].floor)
    assert asked == pytest.approx([0.8875, 0.8686, 0.8518], abs=1e-4)


def test_a_floor_without_grades_has_no_margin() -> None:
    classes = ({"name": "code", "default": True, "floor": 0.9, "grades": "none"},)
    (group,) = built(service(classes=classes), answered(CODE, "small", 50)).problem.groups
    assert group.floor == 0.9


def test_a_class_that_would_rather_refuse_gives_up_its_floor_last() -> None:
    classes = (
        {"name": "code", "default": True, "floor": 0.9, "if_short": "refuse", "priority": 3},
    )
    (group,) = built(service(classes=classes), answered(CODE, "small", 50)).problem.groups
    assert (group.floor_before_slo, group.priority, group.miss_max) == (True, 3, None)


def budget(name: str, **scope: str) -> dict[str, object]:
    return {"name": name, "scope": scope, "amount_usd": 240.0, "period": "day"}


def test_each_class_and_payer_is_a_group() -> None:
    window = built(
        service(budgets=(budget("team", traffic_class="code", tenant="anna"),)),
        answered(CODE, "small", 3),
        answered(CODE._replace(size_bucket="s1"), "small", 2),
        answered(CODE._replace(payer="-"), "small", 4),
        answered(CHAT, "small", 1),
    )
    names = [(group.traffic_class, group.payer) for group in window.problem.groups]
    assert names == list(dict.fromkeys(cell[:2] for cell in window.cells))
    assert sorted(names) == [("chat", "-"), ("code", "-"), ("code", "team")]
    by_cell = [names[g] for g in window.problem.group_of]
    assert by_cell == [cell[:2] for cell in window.cells]


def test_a_late_model_misses_the_slo_of_the_class_that_has_one() -> None:
    late = answered(CODE, "small", 500, bucket=60)
    late.slo_missed = 500
    window = built(service(), late, answered(CHAT, "small", 1, bucket=60))
    by_cell = dict(zip(window.cells, window.problem.miss[:, 0], strict=True))
    assert by_cell[CODE] > 0.9
    assert by_cell[CHAT] == 0.0


def test_a_model_whose_endpoints_are_all_ejected_is_not_allowed() -> None:
    found, estimates = known(service(), answered(CODE, "small", 50))
    found.count_push(push(sequence=2, endpoints=DOWN), now_s=NOW_S)
    window = window_of(found, estimates)
    assert window is not None
    assert window.problem.allowed.tolist() == [[False, True]]


def test_with_no_model_up_there_is_nothing_to_plan() -> None:
    drained = (SMALL, LARGE | {"enabled": False})
    found, estimates = known(service(models=drained), answered(CODE, "small", 50))
    found.count_push(push(sequence=2, endpoints=DOWN), now_s=NOW_S)
    assert window_of(found, estimates) is None


def test_what_may_serve_a_cell_follows_from_its_kind_and_not_from_what_has_answered_it() -> None:
    chat = LARGE | {"name": "chat", "protocol": "openai"}
    window = built(
        service(models=(SMALL, chat)),
        answered(CODE._replace(kind="tensors"), "small", 50),
        stats(CODE._replace(kind="text"), "chat", decided=5),
        # By features alone: that an Infer was answered by a model of tensors bars no chat model.
        answered(CODE._replace(kind="any"), "small", 3),
    )
    allowed = {
        cell.kind: may
        for cell, may in zip(window.cells, window.problem.allowed.tolist(), strict=True)
    }
    assert allowed == {"tensors": [True, False], "text": [False, True], "any": [True, True]}


def test_a_cell_whose_kind_no_model_takes_is_not_planned() -> None:
    window = built(
        service(),
        answered(CODE._replace(kind="tensors"), "small", 50),
        stats(CODE._replace(kind="text"), "small", decided=5),
    )
    assert [cell.kind for cell in window.cells] == ["tensors"]


def test_capacity_is_requests_and_busy_seconds_of_a_window() -> None:
    capacity = {"requests_per_s": 40.0, "concurrent": 2.0}
    models = (SMALL | {"capacity": capacity}, LARGE)
    requests, concurrent = built(
        service(models=models), answered(CODE, "small", 50)
    ).problem.resources
    assert (requests.capacity, concurrent.capacity) == (200.0, 10.0)
    assert requests.use.tolist() == [[1.0, 0.0]]
    assert concurrent.use == pytest.approx(np.array([[0.003, 0.0]]), rel=0.05)


def test_a_budget_paces_the_cells_whose_payer_names_it() -> None:
    budgets = (
        budget("team", traffic_class="code"),
        budget("other", tenant="o", traffic_class="code"),
    )
    window = built(
        service(budgets=budgets),
        answered(CODE, "small", 2),
        answered(CODE._replace(payer="other+team"), "small", 2),
        answered(CHAT, "small", 2),
    )
    team = next(one for one in window.problem.budgets if one.name == "team")
    drawn = dict(zip(window.cells, team.cells.tolist(), strict=True))
    assert drawn == {CODE: True, CODE._replace(payer="other+team"): True, CHAT: False}
    # Of a day of which nothing else is known, as much as of any other time.
    even = window.budgets["team"].pace_nano_usd_per_s * 5.0
    assert team.pace_nano_usd == pytest.approx(even, rel=0.01)


def test_prices_are_asked_of_the_floors_as_configured() -> None:
    found, estimates = known(service(), answered(CODE, "small", 50))
    account = estimates.accounts
    window = window_of(found, estimates)
    assert window is not None
    for _ in range(60):
        account["code", "team"].record_grade(0.0, 2.0, decided_s=NOW_S, now_s=NOW_S)
    shifted = window_of(found, estimates)
    assert shifted is not None
    assert shifted.problem.groups[0].floor == pytest.approx(0.85 + 0.0375 + 0.017, abs=1e-3)
    assert shifted.configured.groups[0].floor == 0.85


def test_beyond_the_most_cells_the_busiest_are_planned() -> None:
    many = [
        stats(Cell("code", "team", f"d{n}", "s0"), "small", decided=n + 1)
        for n in range(CELLS_MAX + 5)
    ]
    window = built(service(), *many)
    assert len(window.cells) == CELLS_MAX
    assert min(window.problem.demand) == pytest.approx(6.0)


def test_amounts_are_for_the_requests_of_the_last_hour_and_floors_for_those_of_now() -> None:
    window = built(service(window_s=5.0), answered(CODE, "small", 50))
    assert window.hourly.requests == pytest.approx([50 * 3_600 / window.hourly.averaged_s])
    per_window = window.hourly.requests[0] * 5.0 / 3_600
    assert window.typical.demand == pytest.approx([per_window])
    assert window.typical.groups == window.problem.groups  # floors with their margins
    assert window.typical.groups[0].floor != window.configured.groups[0].floor


def test_a_margin_moves_with_the_floor_that_is_promised() -> None:
    """A quarter of the wrong answers allowed, while there is no grade: less of them is less."""
    (group,) = built(service(), answered(CODE, "small", 50)).problem.groups
    assert group.floor_steps == pytest.approx((0.0075, -0.0075))


def test_the_requests_of_a_payer_are_planned_for_under_its_new_name() -> None:
    found, estimates = known(service(), answered(CODE, "small", 50))
    found.reconfigure(service(budgets=()))
    window = window_of(found, learned(found, estimates, window_s=0.0))
    assert window is not None
    assert window.cells == (CODE._replace(payer="-"),)
    assert window.problem.demand == pytest.approx([50.0])


def test_what_a_worker_still_tells_of_a_payer_that_left_is_not_planned_for() -> None:
    found, estimates = known(service(), answered(CODE, "small", 50))
    found.reconfigure(service(budgets=()))
    learned(found, estimates, window_s=0.0)
    found.count_push(push(answered(CODE, "small", 60), sequence=2), now_s=NOW_S)
    window = window_of(found, learned(found, estimates, window_s=0.0))
    assert window is not None
    assert {cell.payer for cell in window.cells} == {"-"}


CACHED = {
    "input_usd_per_mtok": 1.0,
    "cached_input_usd_per_mtok": 0.1,
    "cache_write_usd_per_mtok": 2.0,
    "output_usd_per_mtok": 4.0,
    "reasoning_usd_per_mtok": 8.0,
}


def test_a_request_costs_its_tokens_by_class() -> None:
    told = stats(
        CODE,
        "small",
        decided=10_000,
        ended=10_000,
        attempts=10_000,
        answered=10_000,
        input_tokens=10_000 * 1_000,
        cached_input_tokens=10_000 * 700,
        cache_write_input_tokens=10_000 * 200,
        output_tokens=10_000 * 50,
        reasoning_tokens=10_000 * 40,
    )
    window = built(service(models=(SMALL | {"price": CACHED}, LARGE)), told)
    expected = 100 * 1_000 + 700 * 100 + 200 * 2_000 + 10 * 4_000 + 40 * 8_000
    assert window.problem.cost_nano_usd[0, 0] == pytest.approx(expected, rel=0.02)
    assert window.output_tokens[0, 0] == pytest.approx(50, rel=0.02)


def test_a_cell_of_long_contexts_costs_by_their_tier() -> None:
    tier = {"above_input_tokens": 10_000, "input_usd_per_mtok": 3.0}
    price = {"input_usd_per_mtok": 1.0, "tiers": [tier]}
    long = CODE._replace(size_bucket="s2")
    told = [
        stats(cell, "small", decided=n, ended=n, attempts=n, answered=n, input_tokens=n * tokens)
        for n, cell, tokens in ((10_000, CODE, 1_000), (9_000, long, 50_000))
    ]
    window = built(service(models=(SMALL | {"price": price}, LARGE)), *told)
    assert window.cells == (CODE, long)
    costs = window.problem.cost_nano_usd[:, 0]
    assert costs == pytest.approx([1_000 * 1_000, 50_000 * 3_000], rel=0.02)
