"""What audits try, from the plan to the requests and back through their grades."""

from typing import Any

import pytest

from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from tests.server.control.trying import Trying
from tests.server.routing.configs import model

RIGHT = {"cheap": 0.85, "middle": 0.78, "dear": 0.95}


def models(**priors: float) -> list[ModelConfig]:
    prices = {"cheap": 0.001, "middle": 0.003, "dear": 0.01}
    return [
        model(name, price=PriceConfig(request_usd=prices[name]), prior_accuracy=prior)
        for name, prior in priors.items()
    ]


def chat(**changes: Any) -> ClassConfig:
    given = {"floor": 0.8, "grades": "caller", "audit_rate": 0.2} | changes
    return ClassConfig(name="chat", default=True, **given)


def service(seed: int, right: dict[str, float] = RIGHT, **changes: Any) -> Trying:
    """The cheap model is good enough, and believed to be bad: no mix has a use for it."""
    three = models(cheap=0.6, middle=0.8, dear=0.95)
    return Trying(three, right, seed, classes=(chat(**changes),))


@pytest.mark.parametrize("seed", range(2))
def test_a_cheap_model_that_nobody_believed_in_gets_its_chance(seed: int) -> None:
    found = service(seed)
    found.run(25, requests=200)
    assert found.asked["cheap"] > 0.9 * found.asked.total()


def test_a_class_that_does_not_explore_is_left_as_it_is_planned() -> None:
    found = service(0, explore=False)
    plan = found.run(10).plan
    assert found.asked["cheap"] == 0
    assert (plan.classes[0].explored, plan.classes[0].explored_text) == (0.0, "")


def test_a_class_without_grades_tries_nothing() -> None:
    found = service(0, grades="none", audit_rate=0.0)
    assert found.run(3).shares.probes == {}


def test_the_page_says_how_much_is_tried_and_what_that_costs() -> None:
    found = service(0)
    draft = found.run(2)
    plan, told = draft.plan, draft.plan.classes[0]
    assert 0 < told.explored_of_audits <= 0.3
    assert told.explored == pytest.approx(0.2 * told.explored_of_audits)
    (probes,) = draft.shares.probes.values()
    of_probe = sum(share * cost for _, share, cost in probes.shares)
    more = told.explored * (of_probe * told.requests_per_hour - plan.cost_nano_usd_per_hour)
    # What workers are told is rounded.
    assert told.explored_cost_nano_usd_per_hour == pytest.approx(more, rel=0.05)
    assert told.explored_text.startswith("tries other models with ")
    assert " than without, paid as its other requests are" in told.explored_text


def test_where_the_floor_holds_a_hundredth_of_the_traffic_is_tried_at_most() -> None:
    found = service(1, RIGHT | {"cheap": 0.3}, audit_rate=0.5)
    parts = [found.run(1).plan.classes[0].explored for _ in range(12)]
    assert max(parts[5:]) <= 0.0101


def test_it_ends_where_nothing_could_pay() -> None:
    found = service(2, RIGHT | {"cheap": 0.3}, audit_rate=1.0)
    assert any([found.run(1, requests=100).shares.probes for _ in range(5)])
    found.run(20, requests=400)
    assert not any([found.run(1, requests=400).shares.probes for _ in range(3)])
    found.run(1)
    assert found.probes.total() == 0


def test_a_plan_that_only_tries_something_else_keeps_its_id_and_brings_its_parts() -> None:
    found = service(0, floor=0.7, audit_rate=0.1)  # so that the middle one holds it alone
    found.right["middle"] = 0.9
    first, second = found.run(3), found.run(1)
    assert first.shares.probes != second.shares.probes
    assert (second.plan.id, second.is_another) == (first.plan.id, False)
    assert second.parts[0].cells[0].probes


class TestReach:
    """Floors that are missed by what is expected, and may yet be held."""

    def start(self, right: float) -> Trying:
        pair, chats = models(cheap=0.6, dear=0.6), (chat(audit_rate=0.5, floor=0.8),)
        return Trying(pair, {"cheap": 0.5, "dear": right}, 0, classes=chats)

    def test_nobody_says_unreachable_before_anybody_has_looked(self) -> None:
        told = self.start(0.9).run(1).plan
        assert not told.breaches
        assert "is the best that is known" in told.classes[0].required_text

    def test_what_can_be_reached_is_reached(self) -> None:
        found = self.start(0.9)
        found.run(1)
        assert found.run(15).plan.classes[0].accuracy > 0.8
        assert found.asked["dear"] > 0.7 * found.asked.total()

    def test_grades_show_that_it_is_out_of_reach(self) -> None:
        found = self.start(0.7)
        (breach,) = found.run(25).plan.breaches
        assert (breach.kind, breach.bound) == ("floor", 0.8)
        assert breach.best == pytest.approx(0.7, abs=0.05)

    def test_a_floor_that_may_be_reached_runs_up_its_debt(self) -> None:
        found = self.start(0.9)
        found.run(1)
        account = found.corridor.estimates.accounts["chat", "-"]
        found._serve(100)
        found.corridor.learn(found.now_s)
        assert account.required(0.8, found.now_s) > 0.8
