"""What routes stays where another mix would gain nothing: from counts and grades to the plan."""

from collections.abc import Mapping

import pytest

from server.control.corridor import Corridor, Draft
from server.control.estimates import Estimates
from server.control.facts import Graded
from server.control.knowledge import Knowledge
from server.control.steadiness import SHORT_WINDOWS_MAX
from server.routing.catalog import Cell
from server.routing.selector import ModelShares
from tests.server.control.told import CODE, LARGE, NOW_S, SMALL, answered, push, service

ALL = CODE._replace(payer="-")
# It costs nearly what small does: what is believed of either decides which is the cheaper way.
RIVAL = SMALL | {"name": "rival", "endpoints": ("127.0.0.1:4",), "price": {"request_usd": 0.001002}}


class Service:
    """Requests of class code, whose floor is 85 %."""

    def __init__(self) -> None:
        code = {"name": "code", "floor": 0.85, "grades": "caller", "audit_rate": 1.0}
        config = service(
            budgets=(), models=(SMALL, RIVAL, LARGE), classes=(code | {"default": True},)
        )
        self.knowledge = Knowledge(config)
        self.corridor = Corridor(self.knowledge, Estimates(), epoch=7, begun_s=NOW_S)
        self.now_s, self._told = NOW_S, 0

    def planned(self) -> Draft:
        """After a window with a thousand requests to small."""
        self._told += 1
        told = answered(ALL, "small", self._told * 1_000)
        self.knowledge.count_push(push(told, sequence=self._told), now_s=self.now_s)
        self.now_s += 5.0
        draft = self.corridor.step(self.now_s).draft
        assert draft is not None
        return draft

    def grade(self, model: str, right: int, wrong: int) -> None:
        for quality, count in ((1.0, right), (0.0, wrong)):
            for _ in range(count):
                self.knowledge.facts.add_grade(
                    Graded(ALL, model, quality, 1.0, decided_s=self.now_s, told_s=self.now_s)
                )


@pytest.fixture
def settled() -> Service:
    """Many grades of all; small and rival are right as often, and short of the floor."""
    found = Service()
    for model, right in (("small", 2_400), ("rival", 2_400), ("large", 2_850)):
        found.grade(model, right, 3_000 - right)
    found.planned()
    return found


def mix(draft: Draft) -> Mapping[Cell, list[tuple[int, float]]]:
    def of(shares: ModelShares) -> list[tuple[int, float]]:
        return [(model, share) for model, share, _ in shares]

    return {cell: of(shares) for cell, shares in draft.shares.cells.items()}


def test_grades_that_move_what_is_believed_a_little_move_no_request(settled: Service) -> None:
    first = settled.planned()
    for n in range(SHORT_WINDOWS_MAX - 1):
        better, worse = ("small", "rival") if n % 2 else ("rival", "small")
        settled.grade(better, 5, 0)
        settled.grade(worse, 3, 2)
        assert mix(settled.planned()) == mix(first)


def test_a_plan_whose_routes_are_kept_is_not_another(settled: Service) -> None:
    first = settled.planned()
    settled.grade("rival", 5, 0)
    second = settled.planned()
    assert not second.is_another
    assert second.plan.id == first.plan.id


def test_a_model_that_is_clearly_worse_loses_its_share_in_the_next_window(
    settled: Service,
) -> None:
    first = settled.planned()
    settled.grade("small", 100, 200)
    settled.grade("rival", 100, 200)
    second = settled.planned()
    assert second.is_another
    assert mix(second) != mix(first)
    (shares,) = mix(second).values()
    (before,) = mix(first).values()
    assert dict(shares).get(2, 0.0) > dict(before).get(2, 0.0) + 0.05
