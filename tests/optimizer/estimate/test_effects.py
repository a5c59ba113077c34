"""The joint fit, against the same model written out in full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.estimate.effects import Observed, Priors, Spreads, fit, posterior
from optimizer.problem import Floats

CELLS, MODELS = 4, 3


def written_out(
    observed: Observed, noise: Floats, priors: Priors, spreads: Spreads
) -> tuple[Floats, Floats]:
    """Conditions the joint normal distribution of all pairs on what was observed."""
    same_cell = np.kron(np.eye(CELLS), np.ones((MODELS, MODELS)))
    same_model = np.kron(np.ones((CELLS, CELLS)), np.diag(priors.variance))
    pairs = np.eye(CELLS * MODELS)
    covariance = spreads.cell * same_cell + same_model + spreads.pair * pairs
    seen = observed.cell * MODELS + observed.model
    gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)] + np.diag(noise))
    mean = np.tile(priors.mean, CELLS) + gain @ (observed.mean - priors.mean[observed.model])
    variance = np.diag(covariance - gain @ covariance[seen])
    return mean.reshape(CELLS, MODELS), variance.reshape(CELLS, MODELS)


pairs = st.sets(st.integers(0, CELLS * MODELS - 1)).map(sorted)


def observations(seen: list[int], seed: int) -> tuple[Observed, Floats, Priors]:
    random, pair = np.random.default_rng(seed), np.array(seen, dtype=np.int64)
    cell, model = np.divmod(pair, MODELS)
    grades = random.uniform(1, 100, pair.size)
    observed = Observed(cell, model, random.uniform(0, 1, pair.size), grades)
    priors = Priors(random.uniform(0.5, 0.9, MODELS), random.uniform(1e-4, 0.02, MODELS))
    return observed, 0.2 / grades, priors


@given(pairs, st.integers(0, 99), st.floats(1e-3, 0.1), st.floats(1e-4, 0.1))
def test_means_and_variances_are_those_of_the_model_written_out(
    seen: list[int], seed: int, cell: float, pair: float
) -> None:
    observed, noise, priors = observations(seen, seed)
    spreads = Spreads(cell, pair)
    found = posterior(observed, noise, priors, CELLS, spreads)
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
    spreads, priors = Spreads(), Priors(np.full(models, 0.6), np.full(models, 0.01))
    for _ in range(20):
        observed = Observed(rows, columns, mean, grades)
        spreads = fit(observed, priors, cells, spreads).spreads
    assert spreads.cell**0.5 == pytest.approx(cell, abs=0.03)
    assert spreads.pair**0.5 == pytest.approx(pair, abs=0.03)


@settings(max_examples=30)
@given(pairs, st.integers(0, 99))
def test_without_grades_the_priors_stand(seen: list[int], seed: int) -> None:
    observed, _, priors = observations([], seed)
    assert fit(observed, priors, CELLS, Spreads()).mean == pytest.approx(
        np.tile(priors.mean, (CELLS, 1))
    )
