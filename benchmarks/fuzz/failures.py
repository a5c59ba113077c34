"""Inputs that failed: written down, shorter if that is asked for, and measured again."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.fuzz import corpus
from benchmarks.fuzz.apart import Begin, Died, apart
from benchmarks.fuzz.catalogue import TARGETS
from benchmarks.fuzz.meter import Cost
from benchmarks.fuzz.run import Runner
from benchmarks.fuzz.search import Findings, Found, kind_of, smaller

# For a failing input to become shorter.
_TRIES = 400


def write(found: Mapping[str, Findings], *, minimize: bool) -> Sequence[str]:
    """Into a new folder; what to tell of each."""
    failures = list(_failures(found))
    if not failures:
        return ()
    folder = Path(tempfile.mkdtemp(prefix="turnout-fuzz-"))
    return [_written(folder, *failure, minimize=minimize) for failure in failures]


def repeat(name: str, data: bytes) -> tuple[str, str]:
    """Which limit one input breaks, if any, and what it took."""
    try:
        cost = apart(partial(_measured, name, data))
    except Died as died:
        return "fault", died.why
    return TARGETS[name].allowance.breach(cost), str(cost)


def _measured(name: str, data: bytes, begin: Begin) -> Cost:
    """Seeds first: what only the first use of anything costs is not the input's."""
    target = TARGETS[name]
    with Runner(target, begin) as runner:
        for seed in target.seeds():
            runner.run(seed)
        return runner.confirmed(data, runner.run(data))


def _failures(found: Mapping[str, Findings]) -> Iterator[tuple[str, str, Found]]:
    for name, findings in found.items():
        for kind, failure in findings.failures.items():
            yield name, kind, failure


def _written(folder: Path, name: str, kind: str, failure: Found, *, minimize: bool) -> str:
    data = _smaller(name, kind, failure.data) if minimize else failure.data
    file = folder / f"{name.replace(' ', '-')}-{corpus.file_name(data)}"
    file.write_bytes(data)
    return (
        f"FAILED {name}: {kind}: {failure.cost}\n"
        f"  python -m benchmarks.fuzz --target '{name}' --repeat {file}"
    )


def _smaller(name: str, kind: str, data: bytes) -> bytes:
    """One that ends its process stays as it is."""
    try:
        return apart(partial(_smallest, name, kind, data))
    except Died:
        return data


def _smallest(name: str, kind: str, data: bytes, begin: Begin) -> bytes:
    target = TARGETS[name]

    def still_fails(shorter: bytes) -> bool:
        cost = runner.run(shorter)
        breach = target.allowance.breach(cost)
        return bool(breach) and kind_of(breach, cost) == kind

    with Runner(target, begin) as runner:
        return smaller(data, still_fails, _TRIES)
