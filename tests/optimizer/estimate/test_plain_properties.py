"""What is read back behaves as what was kept, whatever it is told from then on."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.estimate.account import FloorAccount
from optimizer.estimate.accuracy import AccuracyEstimate, Prior
from optimizer.estimate.chain import ChainEstimate
from optimizer.estimate.decayed import DecayedSums
from optimizer.estimate.demand import DemandEstimate
from optimizer.estimate.latency import LatencyEstimate
from optimizer.estimate.miss import MissEstimate, Promise
from optimizer.estimate.usage import UsageEstimate, Used
from server.latency_buckets import LATENCY_BUCKETS

few = settings(max_examples=30)  # each fits and reads several times

START_S, MODELS = 1_000_000.0, ("small", "large")
CELLS = [("code", "team", "law", "s0"), ("code", "team", "other", "s1"), ("chat", "-", "law", "s0")]
PRIORS = {"small": Prior(0.8), "large": Prior(0.95, 300)}

cells, models = st.sampled_from(CELLS), st.sampled_from(MODELS)
fractions = st.integers(0, 10).map(lambda n: n / 10)
counts = st.integers(0, 50).map(float)
weights = st.integers(1, 5).map(float)
gaps_s = st.sampled_from([0.0, 1.0, 60.0, 5_000.0])
Told = list[tuple[float, tuple[Any, ...]]]  # seconds later, what


def through_json(plain: Any) -> Any:
    """As a file has it."""
    return json.loads(json.dumps(plain, default=list))


def told(*what: st.SearchStrategy[Any]) -> st.SearchStrategy[Told]:
    return st.lists(st.tuples(gaps_s, st.tuples(*what)), max_size=12)


def tell(estimate: Any, said: Told, now_s: float, one: Callable[..., None]) -> float:
    for gap_s, what in said:
        now_s += gap_s
        one(estimate, *what, now_s)
    return now_s


def check(
    kept: Any,
    again: Callable[[Any], Any],
    one: Callable[..., None],
    read: Callable[[Any, float], Any],
    said: tuple[Told, Told],
) -> None:
    """Told something, kept and read back, then told the same as the one that was never kept."""
    before, after = said
    now_s = tell(kept, before, START_S, one)
    restored = again(through_json(kept.to_plain()))
    end_s = tell(kept, after, now_s, one)
    tell(restored, after, now_s, one)
    expected = pytest.approx(np.asarray(read(kept, end_s)), rel=1e-9, abs=1e-12)
    assert np.asarray(read(restored, end_s)) == expected


grades = told(cells, models, fractions, weights)


@few
@given(st.tuples(grades, grades))
def test_accuracy(said: tuple[Told, Told]) -> None:
    def read(estimate: AccuracyEstimate, now_s: float) -> object:
        shown = [*estimate.of_model("small", now_s), *estimate.of_group("code", "team", now_s)]
        return [*shown, *estimate.mean(CELLS, MODELS, now_s).ravel()]

    def again(plain: Any) -> AccuracyEstimate:
        return AccuracyEstimate.from_plain(plain, PRIORS)

    check(AccuracyEstimate(PRIORS), again, AccuracyEstimate.record_grade, read, said)


latencies = told(
    models, st.lists(counts, min_size=LATENCY_BUCKETS, max_size=LATENCY_BUCKETS), counts
)


@few
@given(st.tuples(latencies, latencies))
def test_latency(said: tuple[Told, Told]) -> None:
    def read(estimate: LatencyEstimate, now_s: float) -> object:
        return [estimate.miss(model, 0.3, now_s) for model in MODELS]

    check(
        LatencyEstimate(), LatencyEstimate.from_plain, LatencyEstimate.observe_latencies, read, said
    )


usages = told(cells, models, counts, counts, st.builds(Used, *[counts] * len(Used._fields)))


@few
@given(st.tuples(usages, usages))
def test_usage(said: tuple[Told, Told]) -> None:
    def read(estimate: UsageEstimate, now_s: float) -> object:
        return np.concatenate(estimate.mean(CELLS, MODELS, now_s))

    check(UsageEstimate(), UsageEstimate.from_plain, UsageEstimate.observe_usage, read, said)


legs = st.tuples(st.sampled_from(["code", "chat"]), models, models)
chains = told(legs, counts, counts, counts)


@few
@given(st.tuples(chains, chains))
def test_chains(said: tuple[Told, Told]) -> None:
    def one(estimate: ChainEstimate, leg: Any, ended: float, *more: float) -> None:
        attempts, answered, now_s = more
        estimate.observe_leg(leg, ended=ended, attempts=attempts, answered=answered, now_s=now_s)

    def read(estimate: ChainEstimate, now_s: float) -> object:
        found = estimate.of(["code", "chat"], MODELS, now_s)
        return [chain.reach.toarray() for chain in found.values()]

    check(ChainEstimate(), ChainEstimate.from_plain, one, read, said)


promises = st.builds(Promise, st.just("code"), st.sampled_from([0.5, 2.0]), models)
misses = told(promises, counts, counts)


@few
@given(st.tuples(misses, misses))
def test_misses(said: tuple[Told, Told]) -> None:
    def read(estimate: MissEstimate, now_s: float) -> object:
        asked = [Promise("code", slo_s, model) for slo_s in (0.5, 2.0) for model in MODELS]
        return [estimate.of(promise, believed=0.1, now_s=now_s) for promise in asked]

    check(MissEstimate(), MissEstimate.from_plain, MissEstimate.observe_misses, read, said)


windows = st.lists(st.dictionaries(cells, counts), max_size=8)


@few
@given(windows, windows)
def test_demand(before: Sequence[dict[Any, float]], after: Sequence[dict[Any, float]]) -> None:
    kept = DemandEstimate()
    for seen in before:
        kept.observe_requests(seen, 5.0)
    restored = DemandEstimate.from_plain(through_json(kept.to_plain()))
    assert restored.per_s() == kept.per_s()
    for seen in after:
        kept.observe_requests(seen, 5.0)
        restored.observe_requests(seen, 5.0)
    assert restored.per_s() == pytest.approx(kept.per_s())


account_grades = told(fractions, weights, st.integers(0, 100).map(float))


@few
@given(account_grades, account_grades, st.booleans())
def test_accounts(before: Told, after: Told, frozen: bool) -> None:
    def one(
        account: FloorAccount, quality: float, weight: float, late_s: float, now_s: float
    ) -> None:
        account.record_grade(quality, weight, decided_s=now_s - late_s, now_s=now_s)

    kept = FloorAccount(0.9)
    now_s = tell(kept, before, START_S, one)
    if frozen:
        kept.freeze(now_s)
    restored = FloorAccount.from_plain(through_json(kept.to_plain()))
    end_s = tell(kept, after, now_s, one)
    tell(restored, after, now_s, one)
    assert restored.to_plain() == kept.to_plain()
    assert restored.required(0.9, end_s) == kept.required(0.9, end_s)


def test_the_key_told_of_longest_ago_is_still_forgotten_first() -> None:
    sums, restored = (DecayedSums[str](1, half_life_s=60.0, keys_max=2) for _ in range(2))
    for key in ("a", "b", "a"):
        sums.add(key, (1.0,), START_S)
    restored.restore(through_json(sums.to_plain()))
    restored.add("c", (1.0,), START_S)
    assert restored.all(START_S)[0] == ["a", "c"]


def test_what_was_made_plain_stays_as_it_was_while_more_is_told() -> None:
    sums = DecayedSums[str](1, half_life_s=60.0, keys_max=10)
    sums.add("a", (8.0,), START_S)
    rows = sums.to_plain()["rows"]
    sums.add("a", (1.0,), START_S)
    sums.take_back("a", (2.0,), START_S)
    sums.add("b", (1.0,), START_S + 1e6)  # so late that all sums are scaled anew
    assert list(rows) == [("a", [8.0])]


def test_demand_that_is_read_back_later_has_its_rates_and_gives_way_sooner() -> None:
    kept = DemandEstimate(half_life_s=30.0)
    for _ in range(100):
        kept.observe_requests({CELLS[0]: 50.0}, 5.0)
    plain = through_json(kept.to_plain())
    at_once, later = (DemandEstimate.from_plain(plain, age_s=age_s) for age_s in (0.0, 120.0))
    assert later.per_s() == pytest.approx({CELLS[0]: 10.0})
    for estimate in (at_once, later):
        estimate.observe_requests({CELLS[0]: 60.0}, 5.0)
    assert 10.0 < at_once.per_s()[CELLS[0]] < 11.0 < later.per_s()[CELLS[0]] < 12.0


def test_demand_that_is_read_back_days_later_is_forgotten() -> None:
    kept = DemandEstimate()
    kept.observe_requests({CELLS[0]: 50.0}, 5.0)
    assert DemandEstimate.from_plain(through_json(kept.to_plain()), age_s=2e5).per_s() == {}


def test_requests_that_nobody_watched_are_refused() -> None:
    with pytest.raises(ValueError, match="without any time"):
        DemandEstimate.from_plain({"watched_s": 0.0, "rows": [[CELLS[0], 1.0]]})


@pytest.mark.parametrize("age_s", [0.0, 9.0, 11.0, 60.0, 3_000.0])
def test_a_level_is_no_other_one_for_the_time_in_which_nobody_watched(age_s: float) -> None:
    kept = DemandEstimate()
    for _ in range(100):
        kept.observe_requests({CELLS[0]: 50.0, CELLS[2]: 0.01}, 5.0)
    plain = through_json(kept.to_plain())
    for cell, per_s in DemandEstimate.from_plain(plain, age_s=age_s).per_s().items():
        assert per_s == pytest.approx(kept.per_s()[cell], rel=0.01)
