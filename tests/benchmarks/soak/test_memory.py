"""What a soak says of memory."""

from collections.abc import Iterable

import numpy as np
import pytest

from benchmarks.soak.memory import MIB, Sample, slope


def samples(mib: Iterable[float]) -> list[Sample]:
    """One a second."""
    return [Sample(float(at), round(value * MIB)) for at, value in enumerate(mib)]


def wandering(seed: int, growth_mib_per_min: float) -> list[Sample]:
    """Eight minutes of memory that remembers: each second is much like the one before."""
    dice = np.random.default_rng(seed)
    noise = np.zeros(480)
    for at in range(1, 480):
        noise[at] = 0.8 * noise[at - 1] + dice.normal()
    return samples(100 + noise + growth_mib_per_min / 60 * np.arange(480))


def test_memory_that_does_not_change_has_no_slope_and_no_doubt() -> None:
    assert slope(samples(np.full(480, 80.0))) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_steady_growth_is_found() -> None:
    found = slope(samples(80 + 2 / 60 * np.arange(480)))
    assert found is not None
    assert found.mib_per_min == pytest.approx(2)
    assert found.high == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("growth", [0.0, 1.0])
def test_the_bound_holds_about_as_often_as_it_promises(growth: float) -> None:
    found = [slope(wandering(seed, growth)) for seed in range(1_000)]
    held = sum(one is not None and one.high >= growth for one in found)
    assert 0.92 <= held / 1_000 <= 0.98


def test_the_bound_is_tight_enough_to_judge_by() -> None:
    found = [slope(wandering(seed, 0.0)) for seed in range(50)]
    assert all(one is not None and one.high < 0.7 for one in found)


def test_what_an_attack_takes_for_a_moment_is_no_growth() -> None:
    attacked = [
        one._replace(resident_bytes=one.resident_bytes + (number % 20 < 10) * number * MIB)
        for number, one in enumerate(wandering(1, 0.0))
    ]
    found = slope(attacked)
    assert found is not None
    assert found.high < 1.0


def test_too_few_samples_say_nothing() -> None:
    assert slope(samples(np.arange(5.0))) is None
