"""Who asks what, and when."""

import numpy as np
import pytest

from server.replay.traffic import Burst, again, at_random, busier, shuffled


def test_each_query_comes_as_often_as_any_other() -> None:
    order = shuffled(10, 35, np.random.default_rng(0))
    counts = np.bincount(order)
    assert (counts.min(), counts.max()) == (3, 4)
    assert sorted(order[:10].tolist()) == list(range(10))
    assert order[:10].tolist() != order[10:20].tolist()


def test_arrivals_at_random_keep_their_rate() -> None:
    at_s = at_random(20_000, 20.0, np.random.default_rng(0))
    assert at_s[-1] == pytest.approx(1_000.0, rel=0.05)
    assert (np.diff(at_s) >= 0).all()


def test_recorded_arrivals_come_again_and_again() -> None:
    assert again(np.array([0.0, 1.0, 2.0]), 7).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert again(np.array([0.0, 1.0, 2.0]), 2).tolist() == [0, 1]
    assert again(np.array([5.0]), 2).tolist() == [5.0, 15.0]


def test_in_a_burst_so_many_times_as_many_come() -> None:
    at_s = np.arange(1, 1_001) / 10.0
    found = busier(at_s, [Burst(20.0, 30.0, 5.0)])
    within = ((found > 20.0) & (found <= 30.0)).sum()
    assert within == pytest.approx(500, abs=2)
    assert found.size == at_s.size
    assert (np.diff(found) > 0).all()
    assert busier(at_s, ()) is at_s
