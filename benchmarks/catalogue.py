"""Every benchmark, by name."""

from collections.abc import Iterable, Mapping

from benchmarks import (
    classify,
    infer,
    overload,
    pick,
    plan,
    publish,
    route,
    route_batch,
    tokens,
    workers,
)
from benchmarks.harness import Benchmark

BENCHMARKS: Mapping[str, Benchmark] = {
    subject.BENCHMARK.name: subject.BENCHMARK
    for subject in (
        pick,
        classify,
        tokens,
        plan,
        publish,
        route,
        route_batch,
        infer,
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
