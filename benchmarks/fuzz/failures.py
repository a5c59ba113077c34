"""Inputs that failed: written down, shorter if that is asked for, and measured again."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.fuzz import corpus
from benchmarks.fuzz.catalogue import TARGETS
from benchmarks.fuzz.run import Runner
from benchmarks.fuzz.search import Findings, Found, kind_of, smaller
from benchmarks.fuzz.targets import Target

# For a failing input to become shorter.
_TRIES = 400


def write(found: Mapping[str, Findings], *, minimize: bool) -> Sequence[str]:
    """Into a new folder; what to tell of each."""
    failures = list(_failures(found))
    if not failures:
        return ()
    folder = Path(tempfile.mkdtemp(prefix="turnout-fuzz-"))
    return [_written(folder, *failure, minimize=minimize) for failure in failures]


def repeat(target: Target, data: bytes) -> tuple[str, str]:
    """Which limit one input breaks, if any, and what it took.

    Seeds first: what only the first use of anything costs is not the input's.
    """
    with Runner(target) as runner:
        for seed in target.seeds():
            runner.run(seed)
        cost = runner.confirmed(data, runner.run(data))
    return target.allowance.breach(cost), str(cost)


def _failures(found: Mapping[str, Findings]) -> Iterator[tuple[Target, str, Found]]:
    for name, findings in found.items():
        for kind, failure in findings.failures.items():
            yield TARGETS[name], kind, failure


def _written(folder: Path, target: Target, kind: str, failure: Found, *, minimize: bool) -> str:
    data = _smaller(target, kind, failure.data) if minimize else failure.data
    file = folder / f"{target.name.replace(' ', '-')}-{corpus.file_name(data)}"
    file.write_bytes(data)
    return (
        f"FAILED {target.name}: {kind}: {failure.cost}\n"
        f"  python -m benchmarks.fuzz --target '{target.name}' --repeat {file}"
    )


def _smaller(target: Target, kind: str, data: bytes) -> bytes:
    def still_fails(shorter: bytes) -> bool:
        cost = runner.run(shorter)
        breach = target.allowance.breach(cost)
        return bool(breach) and kind_of(breach, cost) == kind

    with Runner(target) as runner:
        return smaller(data, still_fails, _TRIES)
