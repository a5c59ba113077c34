import pytest

from server.control.plan_archive import PlanArchive, packed, plan_id_of
from server.routing.errors import InvalidRequest, NotFound
from turnout.v1.admin_pb2 import Plan

EPOCH = 0x18C2F


def ids(*numbers: int) -> list[str]:
    return [plan_id_of(EPOCH, number) for number in numbers]


def archive(plans: int, *, plans_max: int = 10, bytes_max: int = 10**6) -> PlanArchive:
    """Of this many plans, each of a window of as many seconds as its number."""
    kept = PlanArchive(EPOCH, plans_max=plans_max, bytes_max=bytes_max)
    for number in range(1, plans + 1):
        plan_id = plan_id_of(EPOCH, number)
        kept.add(plan_id, packed(Plan(id=plan_id, window_s=number)))
    return kept


def refused(kept: PlanArchive, plan_id: str, newest: str) -> str:
    with pytest.raises(NotFound) as raised:
        kept.find(plan_id, newest=newest)
    assert raised.value.field == "plan_id"
    return str(raised.value)


def test_a_plan_comes_back_as_it_was() -> None:
    (wanted,) = ids(2)
    assert archive(3).find(wanted, newest="18c2f-4") == Plan(id=wanted, window_s=2)


def test_of_more_plans_than_are_kept_the_oldest_leave() -> None:
    kept = archive(12, plans_max=10)
    second, third = ids(2, 3)
    assert kept.find(third, newest="18c2f-13").window_s == 3
    why = "it is not kept any more, the oldest of 11 is 18c2f-3"
    assert refused(kept, second, "18c2f-13") == f"there is no plan 18c2f-2: {why}"


def test_of_plans_that_are_too_large_together_the_oldest_leave() -> None:
    one = len(packed(Plan(id="18c2f-1", window_s=1)))
    kept = archive(5, bytes_max=2 * one)
    third, fourth, fifth = ids(3, 4, 5)
    assert kept.find(fourth, newest="18c2f-6").window_s == 4
    assert kept.find(fifth, newest="18c2f-6").window_s == 5
    assert "not kept any more" in refused(kept, third, "18c2f-6")


def test_a_plan_that_alone_is_too_large_is_not_kept() -> None:
    kept = archive(1, bytes_max=1)
    assert "the oldest of 1 is 18c2f-2" in refused(kept, "18c2f-1", "18c2f-2")


@pytest.mark.parametrize(
    ("plan_id", "newest", "why"),
    [
        ("18c2e-1", "18c2f-4", "it is of another start of the control plane"),
        ("18c2f-5", "18c2f-4", "it was not made yet, the newest is 18c2f-4"),
        ("18c2f-1", "", "none has been made yet"),
    ],
)
def test_a_plan_that_was_never_made_here_says_so(plan_id: str, newest: str, why: str) -> None:
    assert why in refused(archive(0), plan_id, newest)


@pytest.mark.parametrize(
    "plan_id", ["p1", "18c2f", "18c2f-", "18C2F-1", "-1", "18c2f-1\n", "x" * 999]
)
def test_what_is_no_id_is_refused_with_an_example(plan_id: str) -> None:
    with pytest.raises(InvalidRequest, match="is not the id of a plan, such as 18c2f-4") as raised:
        archive(3).find(plan_id, newest="18c2f-4")
    assert raised.value.field == "plan_id"
    assert len(str(raised.value)) < 200
