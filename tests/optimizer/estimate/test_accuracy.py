"""Accuracy from the grades of the audit sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.estimate import accuracy
from optimizer.estimate.accuracy import PAIRS_MAX, AccuracyEstimate, Cell, Prior
from optimizer.problem import Floats

HALF_LIFE_S = 1_000.0
MATHS, LAW = ("code", "-", "maths", "s"), ("code", "-", "law", "s")


def estimate(**priors: float) -> AccuracyEstimate:
    guesses = {model: Prior(accuracy) for model, accuracy in priors.items()}
    return AccuracyEstimate(guesses, half_life_s=HALF_LIFE_S)


def tell(
    told: AccuracyEstimate, cell: Cell, model: str, right: int, of: int, now_s: float = 0.0
) -> None:
    for grade in range(of):
        told.record_grade(cell, model, float(grade < right), 1.0, now_s)


def one(told: AccuracyEstimate, cell: Cell, model: str, now_s: float = 0.0) -> float:
    return float(told.mean([cell], [model], now_s)[0, 0])


class TestShrinking:
    def test_before_any_grade_a_model_is_what_the_configuration_says(self) -> None:
        assert one(estimate(svc=0.8), MATHS, "svc") == pytest.approx(0.8)

    def test_many_grades_leave_nothing_of_the_prior(self) -> None:
        told = estimate(svc=0.5)
        tell(told, MATHS, "svc", right=3_600, of=4_000)
        assert one(told, MATHS, "svc") == pytest.approx(0.9, abs=0.01)

    def test_one_grade_moves_a_guess_by_less_than_all_of_them(self) -> None:
        told = estimate(svc=0.8)
        tell(told, MATHS, "svc", right=0, of=1)
        assert 0.5 < one(told, MATHS, "svc") < 0.8

    def test_a_cell_without_grades_leans_on_the_model_s_other_cells(self) -> None:
        told = estimate(svc=0.5)
        for domain in range(20):
            tell(told, ("code", "-", str(domain), "s"), "svc", right=80, of=100)
        assert one(told, MATHS, "svc") == pytest.approx(0.8, abs=0.05)

    def test_a_model_without_grades_leans_on_how_hard_the_cell_is(self) -> None:
        told = estimate(a=0.8, b=0.8, c=0.8)
        for model in ("a", "b"):
            tell(told, MATHS, model, right=50, of=100)
            tell(told, LAW, model, right=90, of=100)
        assert one(told, MATHS, "c") < 0.75 < one(told, LAW, "c")

    def test_a_model_of_unknown_prior_is_not_refused(self) -> None:
        assert one(estimate(), MATHS, "new") == 0.5

    def test_a_prior_can_be_restated(self) -> None:
        told = estimate(svc=0.5)
        told.set_prior("svc", Prior(0.9))
        assert one(told, MATHS, "svc") == pytest.approx(0.9)

    def test_a_few_unlucky_grades_move_a_prior_of_many_grades_less_than_a_guess(self) -> None:
        moved = []
        for grades in (None, 600):
            told = estimate(old=0.98)
            told.set_prior("new", Prior(0.98, grades))
            tell(told, MATHS, "old", right=980, of=1_000)
            tell(told, MATHS, "new", right=5, of=7)
            moved.append(0.98 - one(told, MATHS, "new"))
        guess, known = moved
        assert 0 < known < 0.85 * guess

    def test_a_prior_of_one_grade_is_no_worse_than_a_guess(self) -> None:
        found = []
        for grades in (None, 1):
            told = estimate()
            told.set_prior("svc", Prior(0.7, grades))
            tell(told, MATHS, "svc", right=20, of=20)
            found.append(one(told, MATHS, "svc"))
        assert found[0] == pytest.approx(found[1])


def routed(seed: int) -> tuple[AccuracyEstimate, list[Cell], Floats]:
    """Two models alike on twenty cells; one was sent to the easy cells, the other to the hard."""
    random = np.random.default_rng(seed)
    cells: list[Cell] = [("code", "-", str(n), "s") for n in range(20)]
    true = np.repeat(np.linspace(0.5, 0.9, 20)[:, None], 2, axis=1)
    told = estimate(a=0.7, b=0.7)
    for i, cell in enumerate(cells):
        for m, model in enumerate(("a", "b")):
            usual = (i < 10) == (m == 1)
            grades = 400 if usual else 40
            tell(told, cell, model, right=int(random.binomial(grades, true[i, m])), of=grades)
    return told, cells, true


@pytest.mark.parametrize("seed", range(3))
def test_where_a_model_was_sent_does_not_bias_what_is_thought_of_it(seed: int) -> None:
    told, cells, _ = routed(seed)
    raw = told.of_model("a", 0.0).mean - told.of_model("b", 0.0).mean
    fitted = told.mean(cells, ["a", "b"], 0.0)
    assert raw > 0.15
    assert abs(float((fitted[:, 0] - fitted[:, 1]).mean())) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("grades", [4, 40, 400])
def test_the_bounds_hold_the_truth_about_nineteen_times_in_twenty(grades: int) -> None:
    random, held = np.random.default_rng(grades), []
    cells: list[Cell] = [("code", "-", str(n), "s") for n in range(12)]
    models = [f"m{m}" for m in range(5)]
    for _ in range(30):
        priors = random.uniform(0.6, 0.8, 5)
        pairs = random.normal(0, 0.1, (12, 1)) + random.normal(0, 0.05, (12, 5))
        true = np.clip(priors + random.normal(0, 0.1, 5) + pairs, 0.02, 0.98)
        told = estimate(**dict(zip(models, priors.tolist(), strict=True)))
        for (i, m), p in np.ndenumerate(true):
            of = int(random.integers(0, 2 * grades))
            tell(told, cells[i], models[m], right=int(random.binomial(of, p)), of=of)
        low, high = told.bounds(cells, models, 0.0)
        held.append(float(((low <= true) & (true <= high)).mean()))
    assert 0.93 <= np.mean(held) <= 0.985


def test_bounds_narrow_with_grades_and_include_the_doubt_of_cell_and_model() -> None:
    told = estimate(svc=0.8)
    before = told.bounds([MATHS, LAW], ["svc"], 0.0)
    tell(told, MATHS, "svc", right=320, of=400)
    after = told.bounds([MATHS, LAW], ["svc"], 0.0)
    width = [float(high[0, 0] - low[0, 0]) for low, high in (before, after)]
    assert width[1] < width[0] / 3
    # Nothing is known of law but the model; less is than of maths.
    assert after[1][1, 0] - after[0][1, 0] > 2 * width[1]


def test_old_grades_fade_until_the_prior_is_back() -> None:
    told = estimate(svc=0.5)
    tell(told, MATHS, "svc", right=100, of=100)
    assert one(told, MATHS, "svc", now_s=0) > one(told, MATHS, "svc", now_s=5 * HALF_LIFE_S) > 0.55
    assert one(told, MATHS, "svc", now_s=60 * HALF_LIFE_S) == pytest.approx(0.5)


def test_what_was_audited_rarely_counts_for_more() -> None:
    told = estimate(svc=0.5)
    for _ in range(50):
        told.record_grade(MATHS, "svc", 1.0, 1.0, 0.0)
        told.record_grade(MATHS, "svc", 0.0, 9.0, 0.0)
    assert told.of_group("code", "-", 0.0).mean == pytest.approx(0.1)


def test_unequal_weights_are_worth_fewer_grades() -> None:
    told = estimate(svc=0.5)
    told.record_grade(MATHS, "svc", 1.0, 1.0, 0.0)
    told.record_grade(MATHS, "svc", 0.0, 9.0, 0.0)
    assert told.of_group("code", "-", 0.0).grades == pytest.approx(100 / 82)


class TestRealised:
    def test_of_a_class_and_payer_over_all_its_cells_and_models(self) -> None:
        told = estimate(a=0.9, b=0.9)
        tell(told, MATHS, "a", right=10, of=10)
        tell(told, LAW, "b", right=5, of=10)
        tell(told, ("code", "team", "law", "s"), "b", right=0, of=10)
        found = told.of_group("code", "-", 0.0)
        assert found.mean == pytest.approx(0.75)
        assert found.grades == pytest.approx(20)
        assert 0.4 < found.low < 0.75 < found.high < 0.95

    def test_of_a_class_without_grades_anything_is_possible(self) -> None:
        assert estimate().of_group("code", "-", 0.0) == (0.0, 0.0, 1.0, 0.0)

    def test_of_a_model_it_starts_from_the_prior(self) -> None:
        told = estimate(svc=0.8)
        assert told.of_model("svc", 0.0).mean == pytest.approx(0.8)
        tell(told, MATHS, "svc", right=2_000, of=2_000)
        assert told.of_model("svc", 0.0).mean > 0.99
        assert told.of_model("svc", 0.0).high <= 1

    def test_a_share_of_one_still_has_doubt(self) -> None:
        told = estimate()
        tell(told, MATHS, "svc", right=10, of=10)
        assert told.of_group("code", "-", 0.0).low < 0.75


grades = st.tuples(st.sampled_from([MATHS, LAW]), st.sampled_from("ab"), st.floats(0, 1))


@settings(max_examples=30)
@given(st.lists(grades, max_size=6), grades, st.floats(1, 20))
def test_a_grade_that_is_retracted_was_never_told(
    others: list[tuple[Cell, str, float]], wrong: tuple[Cell, str, float], weight: float
) -> None:
    corrected, plain = estimate(a=0.6, b=0.7), estimate(a=0.6, b=0.7)
    corrected.record_grade(*wrong, weight, 5.0)
    for now_s, grade in enumerate(others):
        corrected.record_grade(*grade, 2.0, float(now_s + 5))
        plain.record_grade(*grade, 2.0, float(now_s + 5))
    corrected.retract_grade(*wrong, weight, 5.0)
    asked = [MATHS, LAW], ["a", "b"], 50.0
    assert corrected.mean(*asked) == pytest.approx(plain.mean(*asked), abs=1e-6)
    assert corrected.of_group("code", "-", 50.0) == pytest.approx(plain.of_group("code", "-", 50.0))


@pytest.mark.parametrize("quality", [-0.1, 1.1, float("nan")])
def test_a_quality_outside_0_to_1_is_refused(quality: float) -> None:
    with pytest.raises(ValueError, match="quality"):
        estimate().record_grade(MATHS, "svc", quality, 1.0, 0.0)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_is_no_probability_turned_over_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        estimate().record_grade(MATHS, "svc", 1.0, weight, 0.0)


@pytest.mark.slow
def test_no_more_pairs_are_kept_than_there_is_room_for() -> None:
    told = estimate(svc=0.5)
    for n in range(PAIRS_MAX + 1):
        told.record_grade(("code", "-", str(n), "s"), "svc", 1.0, 1.0, 0.0)
    first, last = ("code", "-", "0", "s"), ("code", "-", str(PAIRS_MAX), "s")
    found = told.mean([first, last], ["svc"], 0.0)
    assert found[0, 0] < found[1, 0]


def test_what_is_shown_is_bounded_too() -> None:
    told = estimate()
    for n in range(accuracy.SHOWN_MAX + 1):
        told.record_grade((str(n), "-", "law", "s"), "svc", 1.0, 1.0, 0.0)
    assert told.of_group("0", "-", 0.0).grades == 0
    assert told.of_group("1", "-", 0.0).grades == 1


def test_cells_and_models_may_be_asked_for_in_any_order_and_twice() -> None:
    told = estimate(a=0.6, b=0.7)
    tell(told, MATHS, "a", right=9, of=10)
    once = told.mean([MATHS, LAW], ["a", "b"], 0.0)
    again = told.mean([LAW, MATHS, LAW], ["b", "a"], 0.0)
    assert again == pytest.approx(once[[1, 0, 1]][:, [1, 0]], abs=0.01)
