"""A cost as a ratio to a floor, with its spread: a ratio without one is no result.

Subject and floor take turns in one run, so that what else the machine does falls on both. The ratio
is the median of the rounds' ratios; its interval lies between two order statistics of them, chosen
by the binomial distribution so that it holds the true median with at least 95 % confidence whatever
the distribution. Fewer than 6 rounds cannot promise that: the interval is then their range.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

Taken = TypeVar("Taken")
Call = Callable[[], object]
Clock = Callable[[], float]  # seconds

# Beyond each end of the interval.
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row holds its subject to: a ratio to the floor, a time, or both.

    What is no time has another unit, and no `subject_us_max`.
    """

    name: str
    subject: str
    floor: str
    ratio_max: float = math.inf
    subject_us_max: float = math.inf
    unit: str = "us"

    def target(self, floor_us: float) -> float:
        """The largest ratio that keeps the claim."""
        return min(self.ratio_max, self.subject_us_max / floor_us)

    @property
    def limits(self) -> str:
        """As people write it: "12 x", "0.167 x" or "60 us"."""
        limits = {" x": self.ratio_max, " us": self.subject_us_max}
        return ", ".join(
            f"{round(limit, 3):,g}{unit}" for unit, limit in limits.items() if limit < math.inf
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One result. What subject and floor took are medians of the rounds.

    That is microseconds, unless `unit` says otherwise; others read it by these names.
    """

    name: str
    subject: str
    floor: str
    ratio: float
    ratio_low: float
    ratio_high: float
    subject_us: float
    floor_us: float
    target: float  # the largest ratio that keeps the claim
    unit: str = "us"

    @property
    def verdict(self) -> str:
        """A spread that crosses its target is undecided: more rounds."""
        if self.ratio_high <= self.target:
            return "met"
        return "missed" if self.ratio_low > self.target else "undecided"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was not measured, for its floor is not on this machine."""

    name: str
    subject: str
    floor: str
    skipped: str  # why, and what to do about it

    @property
    def verdict(self) -> str:
        return "skipped"


Measured: TypeAlias = Row | Skipped


def measured_from(keys: Mapping[str, Any]) -> Measured:
    """A row as `run --json` prints it."""
    return Skipped(**keys) if "skipped" in keys else Row(**keys)


class Benchmark(NamedTuple):
    """What can be run by name."""

    name: str
    claims: tuple[Claim, ...]
    run: Callable[[bool], Sequence[Measured]]  # at toy size or in full; one for each claim
    takes_s: float  # in full, calculated from its sizes


class NothingMeasured(Exception):
    """A floor took no time at all: too few calls for the clock that was asked."""


def compared_s(rounds: int, calls: int, each_us: float) -> float:
    """What `compare` takes, where both take so much together; a first round warms up."""
    return (rounds + 1) * calls * each_us / 1e6


def compare(
    claim: Claim, subject: Call, floor: Call, *, rounds: int, calls: int, clock: Clock
) -> Row:
    """Times both, `calls` to a round; the loop's own 10 ns a call are in both."""
    return judge(
        claim,
        alternate(
            claim.name, timed(subject, calls, clock), timed(floor, calls, clock), rounds=rounds
        ),
    )


def timed(call: Call, calls: int, clock: Clock = time.perf_counter) -> Callable[[], float]:
    """One round of a call: its mean microseconds."""

    def round_us() -> float:
        begun_s = clock()
        for _ in range(calls):
            call()
        return (clock() - begun_s) / calls * 1e6

    return round_us


def alternate(
    name: str, subject: Callable[[], Taken], floor: Callable[[], Taken], *, rounds: int
) -> list[tuple[Taken, Taken]]:
    """What each round took, subject and floor in turn; a first round warms up and is dropped."""
    pairs = []
    for number in range(rounds + 1):
        print(f"\r{name}: round {number} of {rounds} ", end="", file=sys.stderr, flush=True)
        pairs.append((subject(), floor()))
    print(file=sys.stderr)
    return pairs[1:]


def judge(claim: Claim, rounds_us: Sequence[tuple[float, float]]) -> Row:
    """The row of a claim, from what subject and floor took in each round, in the claim's unit."""
    if any(floor_us <= 0 for _, floor_us in rounds_us):
        raise NothingMeasured(f"{claim.name}: {claim.floor} took no time: measure more calls")
    ratios = [subject_us / floor_us for subject_us, floor_us in rounds_us]
    low, high = median_interval(ratios)
    floor_us = statistics.median(floor_us for _, floor_us in rounds_us)
    return Row(
        name=claim.name,
        subject=claim.subject,
        floor=claim.floor,
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        subject_us=statistics.median(subject_us for subject_us, _ in rounds_us),
        floor_us=floor_us,
        target=claim.target(floor_us),
        unit=claim.unit,
    )


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the median of what the values are drawn from lies, with at least 95 % confidence."""
    ordered, count = sorted(values), len(values)
    # It lies below the value of rank r if at most r of them, each by a coin's toss, are below it.
    rank, beyond = 0, 0.5**count
    while (beyond := beyond + math.comb(count, rank + 1) * 0.5**count) <= _TAIL:
        rank += 1
    return ordered[rank], ordered[-1 - rank]
