"""Whether routing pays, from grades to the page: a mix has to cost less than one model alone."""

import io

import numpy as np
import pytest
from rich.console import Console

from server.cli.plan_view import plan_view
from server.config.schema import Config
from server.control.corridor import Corridor, Draft
from server.control.estimates import Estimates
from server.control.facts import Graded
from server.control.knowledge import Knowledge
from server.control.saving import saving
from tests.server.control.told import CODE, LARGE, NOW_S, SMALL, answered, push, service

ALL = CODE._replace(payer="-")


class Service:
    """Requests of class code, whose floor is 85 %; small costs a tenth of large."""

    def __init__(self, config: Config | None = None) -> None:
        self.knowledge = Knowledge(config or service(budgets=()))
        self.corridor = Corridor(self.knowledge, Estimates(), epoch=7, begun_s=NOW_S)
        self.now_s, self._told = NOW_S, 0

    def planned(self, requests: int = 1_000) -> Draft:
        """After a window with so many requests to small."""
        self._told += 1
        told = answered(ALL, "small", self._told * requests)
        self.knowledge.count_push(push(told, sequence=self._told), now_s=self.now_s)
        self.now_s += 5.0
        draft = self.corridor.step(self.now_s).draft
        assert draft is not None
        return draft

    def grade(self, right: int, wrong: int, model: str = "small") -> None:
        for quality, count in ((1.0, right), (0.0, wrong)):
            for _ in range(count):
                self.knowledge.facts.add_grade(
                    Graded(ALL, model, quality, 2.0, decided_s=NOW_S, told_s=self.now_s)
                )


@pytest.fixture
def unsure() -> Service:
    """Of 200 graded answers of small 88 % were right: above the floor, and below its margin."""
    found = Service()
    found.grade(right=176, wrong=24)
    return found


def test_one_model_that_is_sure_to_hold_the_floor_serves_where_the_mix_costs_more(
    unsure: Service,
) -> None:
    draft = unsure.planned()
    (shares,) = draft.shares.cells.values()
    assert [share[:2] for share in shares] == [(0, 1.0)]
    (told,) = draft.plan.classes
    assert told.single_model == "small"
    assert not told.routing_pays
    assert told.saving < 0
    assert told.required == pytest.approx(0.85)  # no margin is aimed at
    assert told.accuracy == pytest.approx(0.88, abs=0.01)
    assert not draft.plan.breaches


def test_the_page_says_that_routing_does_not_pay_here(unsure: Service) -> None:
    plan = unsure.planned().plan
    text = plan.classes[0].routing_text
    assert text.startswith(
        "routing does not pay here: small alone is sure enough to keep every promise, and a mix "
        "with a margin for what is unsure would cost "
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(plan_view(plan, now_s=unsure.now_s))
    page = " ".join(console.export_text().split())
    assert f"class code: {text}" in page


def test_a_model_that_is_not_sure_to_hold_the_floor_does_not_serve_alone() -> None:
    found = Service()
    found.grade(right=21, wrong=3)  # 88 % again, of so few that it may be chance
    found.grade(right=95, wrong=5, model="large")
    (told,) = found.planned().plan.classes
    assert told.routing_pays
    assert told.single_model == "large"
    assert 0 < told.saving_low <= told.saving <= told.saving_high


def test_the_page_says_what_a_mix_saves_with_its_interval() -> None:
    found = Service()
    found.grade(right=75, wrong=25)
    found.grade(right=95, wrong=5, model="large")
    (told,) = found.planned().plan.classes
    assert told.routing_text.startswith("routing pays: the mix costs ")
    assert told.routing_text.endswith(
        " than large alone, the cheapest model that is sure to keep every promise"
    )
    of_hour = told.single_cost_nano_usd_per_hour
    assert told.cost_nano_usd_per_hour == pytest.approx((1 - told.saving) * of_hour, rel=0.01)


def test_where_one_model_is_planned_anyhow_routing_does_not_pay() -> None:
    found = Service()
    found.grade(right=990, wrong=10)
    (told,) = found.planned().plan.classes
    assert told.routing_text == "routing does not pay here: no mix costs less than small alone"


def test_it_goes_on_serving_while_it_is_expected_to_hold_the_floor(unsure: Service) -> None:
    unsure.planned()
    unsure.grade(right=20, wrong=9)  # 85.6 % in all: too little to begin with
    assert not unsure.planned().plan.classes[0].routing_pays
    unsure.grade(right=60, wrong=30)
    unsure.grade(right=95, wrong=5, model="large")
    (told,) = unsure.planned().plan.classes
    assert told.single_model == "large"
    assert told.routing_pays


def test_what_is_owed_to_a_floor_one_model_has_to_make_up_for() -> None:
    found = Service()
    found.planned()  # the account begins
    for _ in range(1_500):  # of another model, so what is believed of small stays
        found.knowledge.facts.add_grade(
            Graded(ALL, "large", 0.0, 2.0, decided_s=found.now_s, told_s=found.now_s)
        )
    found.grade(right=176, wrong=24)
    assert found.planned().plan.classes[0].single_model != "small"


def test_a_model_without_room_for_all_requests_does_not_serve_alone() -> None:
    small = {**SMALL, "capacity": {"requests_per_s": 150.0}}
    found = Service(service(budgets=(), models=(small, LARGE)))
    found.grade(right=176, wrong=24)
    (told,) = found.planned().plan.classes
    assert told.single_model in ("", "large")
    assert not told.shed


def test_other_models_are_tried_while_one_serves_alone() -> None:
    dear = {**LARGE, "name": "rival", "price": {"request_usd": 0.0005}, "prior_accuracy": 0.75}
    found = Service(service(budgets=(), models=(SMALL, LARGE, dear)))
    found.grade(right=176, wrong=24)
    draft = found.planned()
    assert draft.plan.classes[0].single_model == "small"
    assert not draft.plan.classes[0].routing_pays
    (probes,) = draft.shares.probes.values()
    assert any(model == 2 for model, _, _ in probes.shares)


def test_a_saving_is_as_sure_as_what_was_seen_of_its_costs() -> None:
    costs, mix = np.array([1.0, 10.0]), np.array([0.6, 0.4])
    sure = saving(costs, mix, 1, np.zeros(2))
    assert sure == pytest.approx((0.54, 0.54, 0.54))
    unsure = saving(costs, mix, 1, np.array([0.5, 1.0]))
    assert unsure.part == pytest.approx(0.54)
    # Only what goes elsewhere is in doubt: 0.6 * 0.5 / 10, and 0.06 * 1 / 10.
    assert unsure.high - unsure.part == pytest.approx(1.96 * np.hypot(0.03, 0.006))
    assert unsure.part - unsure.low == pytest.approx(unsure.high - unsure.part)


def test_nothing_is_saved_where_all_is_free() -> None:
    assert saving(np.zeros(2), np.array([0.5, 0.5]), 0, np.ones(2)) == (0.0, 0.0, 0.0)
