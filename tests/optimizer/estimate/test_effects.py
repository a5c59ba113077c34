"""The joint fit, against the same model written out in full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.estimate.effects import Observed, Priors, Spreads, fit, joint
from optimizer.problem import Floats

CELLS, MODELS = 4, 3


def written_out(
    observed: Observed, noise: Floats, priors: Priors, spreads: Spreads
) -> tuple[Floats, Floats]:
    mean, covariance = written_out_whole(observed, noise, priors, spreads)
    return mean.reshape(CELLS, MODELS), np.diag(covariance).reshape(CELLS, MODELS)


def written_out_whole(
    observed: Observed, noise: Floats, priors: Priors, spreads: Spreads
) -> tuple[Floats, Floats]:
    """Conditions the joint normal distribution of all pairs on what was observed."""
    guess = priors.variance >= spreads.model
    own = (np.sqrt(np.where(guess, spreads.model, priors.variance)) + priors.widened) ** 2
    of_models = np.diag(own) + 0.2**2 * np.outer(guess, guess)
    same_cell = np.kron(np.eye(CELLS), np.ones((MODELS, MODELS)))
    same_model = np.kron(np.ones((CELLS, CELLS)), of_models)
    pairs = np.eye(CELLS * MODELS)
    covariance = spreads.cell * same_cell + same_model + spreads.pair * pairs
    seen = observed.cell * MODELS + observed.model
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)] + np.diag(noise))
    mean = np.tile(priors.mean, CELLS) + gain @ (observed.mean - priors.mean[observed.model])
    return mean, covariance - gain @ covariance[seen]


pairs = st.sets(st.integers(0, CELLS * MODELS - 1)).map(sorted)


def observations(seen: list[int], seed: int) -> tuple[Observed, Floats, Priors]:
    random, pair = np.random.default_rng(seed), np.array(seen, dtype=np.int64)
    cell, model = np.divmod(pair, MODELS)
    grades = random.uniform(1, 100, pair.size)
    observed = Observed(cell, model, random.uniform(0, 1, pair.size), grades)
    variance = np.where(random.uniform(size=MODELS) < 0.5, np.inf, random.uniform(1e-4, 0.02))
    widened = random.choice([0.0, 0.15], MODELS)
    priors = Priors(random.uniform(0.5, 0.9, MODELS), variance, widened)
    return observed, 0.2 / grades, priors


@given(pairs, st.integers(0, 99), st.floats(1e-3, 0.1), st.floats(1e-4, 0.1))
def test_means_and_variances_are_those_of_the_model_written_out(
    seen: list[int], seed: int, cell: float, pair: float
) -> None:
    observed, noise, priors = observations(seen, seed)
    spreads = Spreads(cell, pair)
    found = joint(observed, noise, priors, CELLS, spreads).posterior
    mean, variance = written_out(observed, noise, priors, spreads)
    assert found.mean == pytest.approx(mean, abs=1e-9)
    assert found.variance == pytest.approx(variance, abs=1e-9)


@pytest.mark.parametrize(("cell", "pair"), [(0.15, 0.03), (0.06, 0.15), (0.05, 0.05)])
def test_the_spreads_are_found_in_the_data(cell: float, pair: float) -> None:
    random, cells, models = np.random.default_rng(8), 60, 8
    true = 0.6 + random.normal(0, cell, (cells, 1)) + random.normal(0, pair, (cells, models))
    rows, columns = (grid.ravel() for grid in np.indices(true.shape))
    grades = np.full(true.size, 400.0)
    mean = random.binomial(400, np.clip(true, 0.01, 0.99)).ravel() / 400
    nothing = np.zeros(models)
    spreads, priors = Spreads(), Priors(np.full(models, 0.6), np.full(models, np.inf), nothing)
    for _ in range(20):
        observed = Observed(rows, columns, mean, grades)
        spreads = fit(observed, priors, cells, spreads).spreads
    assert spreads.cell**0.5 == pytest.approx(cell, abs=0.03)
    assert spreads.pair**0.5 == pytest.approx(pair, abs=0.03)


@settings(max_examples=30)
@given(pairs, st.integers(0, 99))
def test_without_grades_the_priors_stand(seen: list[int], seed: int) -> None:
    observed, _, priors = observations([], seed)
    assert fit(observed, priors, CELLS, Spreads()).posterior.mean == pytest.approx(
        np.tile(priors.mean, (CELLS, 1))
    )


def guesses(models: int) -> Priors:
    return Priors(np.full(models, 0.8), np.full(models, np.inf), np.zeros(models))


def answered(true: Floats, seed: int, grades: int = 400) -> Observed:
    rows, columns = (grid.ravel() for grid in np.indices(true.shape))
    right = np.random.default_rng(seed).binomial(grades, true).ravel()
    return Observed(rows, columns, right / grades, np.full(true.size, float(grades)))


def test_guesses_are_wrong_together() -> None:
    true = np.full((4, 5), 0.5)
    all_but_one = fit(answered(true[:, :4], 1), guesses(5), 4, Spreads()).posterior
    assert all_but_one.mean[:, 4] == pytest.approx(0.55, abs=0.05)


def test_a_prior_that_rests_on_grades_is_not_moved_by_others_guesses() -> None:
    variance = np.array([np.inf] * 4 + [1e-4])
    priors = Priors(np.full(5, 0.8), variance, np.zeros(5))
    true = np.full((4, 4), 0.5)
    found = fit(answered(true, 1), priors, 4, Spreads()).posterior
    assert found.mean[:, 4].mean() > found.mean[:, 3].mean() + 0.1


@pytest.mark.parametrize("deviation", [0.02, 0.2])
def test_how_far_models_are_apart_is_found_in_the_data(deviation: float) -> None:
    random, spreads = np.random.default_rng(4), Spreads()
    true = np.clip(0.7 + random.normal(0, deviation, 40) + np.zeros((6, 40)), 0.05, 0.95)
    observed = answered(true, 2)
    for _ in range(10):
        spreads = fit(observed, guesses(40), 6, spreads).spreads
    assert spreads.model**0.5 == pytest.approx(deviation, rel=0.3, abs=0.03)
