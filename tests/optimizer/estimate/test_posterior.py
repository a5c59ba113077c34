"""Joint draws, and how far means over cells are in doubt, against the model written out in full."""

import numpy as np
import pytest

from optimizer.estimate.effects import Spreads, joint
from tests.optimizer.estimate.test_effects import CELLS, MODELS, observations, written_out_whole

SPREADS = Spreads(0.01, 0.004, 0.02)
SEEN = [0, 1, 4, 8, 9]


def test_draws_have_the_means_and_the_covariance_of_what_is_known() -> None:
    observed, noise, priors = observations(SEEN, 3)
    posterior = joint(observed, noise, priors, CELLS, SPREADS).posterior
    mean, covariance = written_out_whole(observed, noise, priors, SPREADS)
    random = np.random.default_rng(5)
    draws = np.array([posterior.draw(random).ravel() for _ in range(10_000)])
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.01)
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.004)


@pytest.mark.parametrize("weights", [[1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.1, 0.2, 0.3, 0.4]])
def test_the_doubt_of_a_mean_over_cells_counts_what_they_share_once(weights: list[float]) -> None:
    observed, noise, priors = observations(SEEN, 3)
    posterior = joint(observed, noise, priors, CELLS, SPREADS).posterior
    _, covariance = written_out_whole(observed, noise, priors, SPREADS)
    of_pairs = covariance.reshape(CELLS, MODELS, CELLS, MODELS)
    variance = np.einsum("i,j,imjm->m", weights, weights, of_pairs)
    found = posterior.deviation_of_means(np.array(weights))
    assert found == pytest.approx(np.sqrt(variance), abs=1e-9)


def test_a_part_of_it_says_the_same_of_what_it_has() -> None:
    observed, noise, priors = observations(SEEN, 3)
    posterior = joint(observed, noise, priors, CELLS, SPREADS).posterior
    cells, models = np.array([2, 0]), np.array([1])
    part = posterior.of(cells, models)
    assert part.mean == pytest.approx(posterior.mean[np.ix_(cells, models)])
    assert part.variance == pytest.approx(posterior.variance[np.ix_(cells, models)])
    assert part.draw(np.random.default_rng(1)).shape == (2, 1)
