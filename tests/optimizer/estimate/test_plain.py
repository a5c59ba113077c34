"""What was learned comes back from a file as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from optimizer.estimate.account import FloorAccount
from optimizer.estimate.accuracy import AccuracyEstimate, Prior
from optimizer.estimate.chain import ChainEstimate
from optimizer.estimate.demand import DemandEstimate
from optimizer.estimate.latency import LatencyEstimate
from optimizer.estimate.miss import MissEstimate, Promise
from optimizer.estimate.usage import UsageEstimate, Used
from server.latency_buckets import LATENCY_BUCKETS

CELL = ("code", "-", "law", "s0")
PRIORS = {"svc": Prior(0.8)}
LATER_S = 5_000.0


def accuracy() -> AccuracyEstimate:
    estimate = AccuracyEstimate(PRIORS)
    for quality in (1.0, 0.0, 1.0):
        estimate.record_grade(CELL, "svc", quality, 2.0, 9.0)
    estimate.mean([CELL], ["svc"], 10.0)
    return estimate


def latency() -> LatencyEstimate:
    estimate = LatencyEstimate(half_life_s=3_600.0)
    estimate.observe_latencies("svc", [1] * LATENCY_BUCKETS, 3, 9.0)
    return estimate


def miss() -> MissEstimate:
    estimate = MissEstimate()
    estimate.observe_misses(Promise("code", 0.1, "svc"), 1_000_000, 300_000, 4_900.0)
    return estimate


def usage() -> UsageEstimate:
    estimate = UsageEstimate()
    estimate.observe_usage(CELL, "svc", 3, 2, Used(5.0, 6.0, 7.0), 9.0)
    return estimate


def chains() -> ChainEstimate:
    estimate = ChainEstimate()
    estimate.observe_leg(("code", "svc", "svc"), ended=9, attempts=9, answered=5, now_s=4_900.0)
    return estimate


def demand() -> DemandEstimate:
    estimate = DemandEstimate()
    estimate.observe_requests({CELL: 7.0}, 5.0)
    return estimate


def account() -> FloorAccount:
    estimate = FloorAccount(0.9)
    for quality in (1.0, 0.0, 1.0):
        estimate.record_grade(quality, 2.0, decided_s=1.0, now_s=9.0)
    return estimate


# Each with how it comes back and what it says later.
ESTIMATES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "accuracy": (
        accuracy,
        lambda plain: AccuracyEstimate.from_plain(plain, PRIORS),
        lambda it: (
            it.mean([CELL], ["svc"], LATER_S).tolist(),
            it.of_model("svc", LATER_S),
            it.of_group("code", "-", LATER_S),
        ),
    ),
    "latency": (latency, LatencyEstimate.from_plain, lambda it: it.miss("svc", 0.1, 9.0)),
    "miss": (
        miss,
        MissEstimate.from_plain,
        lambda it: it.of(Promise("code", 0.1, "svc"), believed=0.0, now_s=LATER_S),
    ),
    "usage": (
        usage,
        UsageEstimate.from_plain,
        lambda it: [one.tolist() for one in it.mean([CELL], ["svc"], LATER_S)],
    ),
    "chains": (
        chains,
        ChainEstimate.from_plain,
        lambda it: it.of(["code"], ["svc"], LATER_S)["code"].answered.toarray().tolist(),
    ),
    "demand": (demand, DemandEstimate.from_plain, lambda it: it.per_s()),
    "account": (account, FloorAccount.from_plain, lambda it: it.required(0.9, LATER_S)),
}


def written(estimate: Any) -> str:
    return json.dumps(estimate.to_plain(), allow_nan=False, default=list)


@pytest.mark.parametrize("name", ESTIMATES)
def test_an_estimate_comes_back_as_it_was(name: str) -> None:
    make, restore, read = ESTIMATES[name]
    estimate = make()
    again = restore(json.loads(written(estimate)))
    assert written(again) == written(estimate)
    assert read(again) == read(estimate)


@pytest.mark.parametrize("name", ESTIMATES)
def test_an_estimate_of_nothing_comes_back(name: str) -> None:
    make, restore, _ = ESTIMATES[name]
    empty: dict[str, Any] = {"accuracy": AccuracyEstimate({}), "account": FloorAccount(0.9)}
    estimate: Any = empty.get(name) or type(make())()
    again = restore(json.loads(written(estimate)))
    assert written(again) == written(estimate)


def damaged(plain: Any) -> list[Any]:
    """Something else in place of each field, one at a time, and without it."""
    without = [{k: v for k, v in plain.items() if k != key} for key in plain]
    other = [plain | {key: value} for key in plain for value in ("x", [["x"]], [[["k"], [-1.0]]])]
    return [*without, *other, [], "x", None]


@pytest.mark.parametrize("name", ESTIMATES)
def test_what_is_no_estimate_is_refused_or_does_no_harm(name: str) -> None:
    make, restore, read = ESTIMATES[name]
    refused = 0
    for plain in damaged(make().to_plain()):
        try:
            read(restore(plain))
        except (ValueError, TypeError, LookupError, AttributeError):
            refused += 1
    assert refused > 5
