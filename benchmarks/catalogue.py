"""Every benchmark, by name."""

from collections.abc import Callable, Iterable, Mapping

from benchmarks import (
    chat_stream,
    chat_whole,
    classify,
    infer,
    overload,
    pick,
    plan,
    publish,
    replay,
    route,
    route_batch,
    tokens,
    workers,
)
from benchmarks.floors.proxies import absence
from benchmarks.harness import Benchmark, Skipped

BENCHMARKS: Mapping[str, Benchmark] = {
    subject.BENCHMARK.name: subject.BENCHMARK
    for subject in (
        pick,
        classify,
        tokens,
        plan,
        publish,
        replay,
        route,
        route_batch,
        infer,
        chat_whole,
        chat_stream,
        workers,
        overload,
    )
}


class UnknownBenchmark(Exception):
    """Says which there are."""


def chosen(names: Iterable[str]) -> list[Benchmark]:
    """Those of these names; without any, all."""
    names = list(names) or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise UnknownBenchmark(
            f"there is no benchmark {', '.join(unknown)}: there is {', '.join(BENCHMARKS)}"
        )
    return [BENCHMARKS[name] for name in names]


def skipped_here(
    benchmarks: Iterable[Benchmark], absence_of: Callable[[str], str] = absence
) -> list[Skipped]:
    """The rows whose floor is not on this machine."""
    claims = [(claim, absence_of(claim.floor)) for each in benchmarks for claim in each.claims]
    return [
        Skipped(claim.name, claim.subject, claim.floor, reason)
        for claim, reason in claims
        if reason
    ]
