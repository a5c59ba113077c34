"""Of a log that has only the models that were asked, the rest is estimated."""

from dataclasses import replace

import numpy as np
import pytest

from server.replay.estimated import completed
from tests.server.replay.recorded import recording


def test_a_recording_without_gaps_stays_as_it_is() -> None:
    whole = recording()
    found, guessed = completed(whole)
    assert found is whole
    assert guessed == 0.0


def test_gaps_are_filled_by_the_model_and_the_domain() -> None:
    whole = recording()
    score = whole.score.copy()
    hidden = np.random.default_rng(1).random(score.shape) < 0.5
    score[hidden] = np.nan
    found, guessed = completed(replace(whole, score=score))
    assert guessed == pytest.approx(hidden.mean())
    assert (found.score[~hidden] == whole.score[~hidden]).all()
    # Of law the small model knows less than of sums.
    of = np.array(whole.requests.domains)
    law, sums = (found.score[(of == name) & hidden[:, 0], 0].mean() for name in ("law", "sums"))
    assert law < sums - 0.1


def test_a_model_of_which_nothing_was_seen_stays_unknown() -> None:
    whole = recording()
    score = whole.score.copy()
    score[:, 2] = np.nan
    score[0, 0] = np.nan
    found, _ = completed(replace(whole, score=score))
    assert np.isnan(found.score[:, 2]).all()
    assert not np.isnan(found.score[:, :2]).any()
