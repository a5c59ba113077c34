"""Whether a model answers otherwise than it did."""

import json
import random

import pytest

from optimizer.estimate.change import (
    CELLS_MAX,
    GRADES_MIN,
    MODELS_MAX,
    Change,
    ChangeWatch,
)

CELL = ("chat", "-", "law", "s0", "any")


def tell(watch: ChangeWatch, right: float, count: int, seed: int) -> tuple[int, Change | None]:
    """Grades of a model that is expected to be right 7 times in 10: how many until an alarm."""
    chance = random.Random(seed)
    for n in range(count):
        change = watch.observe_grade("svc", CELL, float(chance.random() < right), 0.7)
        if change is not None:
            return n + 1, change
    return count, None


@pytest.mark.parametrize(("now", "grades"), [(0.5, 180), (0.9, 180), (0.6, 600)])
def test_a_model_that_changes_is_noticed(now: float, grades: int) -> None:
    took = []
    for seed in range(20):
        watch = ChangeWatch()
        assert tell(watch, 0.7, 2_000, seed)[1] is None
        took.append(tell(watch, now, 5_000, seed + 100)[0])
    assert sorted(took)[10] < grades


def test_one_that_stays_as_expected_raises_no_alarm() -> None:
    assert tell(ChangeWatch(), 0.7, 100_000, 1) == (100_000, None)


def test_what_was_graded_since_the_change_is_of_the_model_as_it_is() -> None:
    watch = ChangeWatch()
    tell(watch, 0.7, 3_000, 5)
    took, change = tell(watch, 0.4, 1_000, 6)
    assert change is not None
    assert change.model == "svc"
    assert change.expected == pytest.approx(0.7)
    assert change.seen == pytest.approx(0.4, abs=0.15)
    assert change.grades == pytest.approx(took, abs=40)
    assert change.recent[CELL] == pytest.approx((change.grades, change.seen * change.grades))


def test_a_model_of_few_grades_is_given_time() -> None:
    watch = ChangeWatch()
    assert tell(watch, 0.0, GRADES_MIN, 1)[1] is None
    assert tell(watch, 0.0, 40, 1)[1] is not None
    assert tell(watch, 0.0, GRADES_MIN, 1)[1] is None  # it is watched anew


def test_what_is_believed_to_be_sure_may_change_too() -> None:
    watch = ChangeWatch()
    for _ in range(1_000):
        assert watch.observe_grade("svc", CELL, 1.0, 1.0) is None
    alarms = [watch.observe_grade("svc", CELL, 0.0, 1.0) for _ in range(20)]
    assert any(alarms)


def test_it_goes_on_after_a_restart() -> None:
    watch, again = ChangeWatch(), ChangeWatch()
    for one in (watch, again):
        tell(one, 0.7, 500, 1)
        tell(one, 0.3, 10, 2)
    again = ChangeWatch.from_plain(json.loads(json.dumps(again.to_plain())))
    assert tell(again, 0.3, 500, 3) == tell(watch, 0.3, 500, 3)


def test_models_and_cells_beyond_a_limit_are_not_watched() -> None:
    watch = ChangeWatch()
    for n in range(MODELS_MAX + 5):
        watch.observe_grade(f"m{n}", CELL, 1.0, 0.7)
    assert len(watch.to_plain()) == MODELS_MAX
    watch = ChangeWatch()
    for n in range(GRADES_MIN + CELLS_MAX + 50):
        watch.observe_grade("svc", ("chat", "-", str(n), "s0"), 0.68, 0.7)
    assert max(len(recent) for _, _, recent in watch.to_plain()[0][2:]) <= CELLS_MAX
