"""`python -m benchmarks.soak [--minutes 10] [--seed N] [--json]`; exit status 1 if it failed."""

import json
import random
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.soak.aftermath import JUDGED_MINUTES
from benchmarks.soak.memory import Slope
from benchmarks.soak.run import Findings, soak

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    minutes: Annotated[
        float, typer.Option(min=0.05, help=f"Memory is judged from {JUDGED_MINUTES:g} on.")
    ] = JUDGED_MINUTES,
    seed: Annotated[int | None, typer.Option(help="As an earlier run told it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The findings.")] = False,
) -> None:
    """Loads a real service for so long, with callers that behave and callers that do not."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    with tempfile.TemporaryDirectory() as folder:
        findings = soak(Path(folder), minutes, seed)
    print(json.dumps(asdict(findings), indent=2) if as_json else told(findings))
    raise typer.Exit(1 if findings.faults_count else 0)


def told(findings: Findings) -> str:
    """For people."""
    lines = [f"soak of {findings.minutes:g} minutes, seed {findings.seed}"]
    lines += [
        f"  {name:26} {count:8,}  slowest {findings.slowest_s[name]:6.2f} s"
        for name, count in sorted(findings.done.items())
    ]
    lines.append(f"decisions answered and counted: {findings.decided:,}")
    lines.append("limits reached: " + _pairs(findings.limits_reached))
    lines.append("memory, MiB a minute, and at most at 95 % confidence:")
    lines += [f"  {name:26} {_grown(found)}" for name, found in findings.memory.items()]
    if findings.minutes < JUDGED_MINUTES:
        lines.append(f"  not judged in less than {JUDGED_MINUTES:g} minutes")
    lines += [f"FAULT {fault}" for fault in findings.faults]
    lines.append(f"{findings.faults_count} faults" if findings.faults_count else "passed")
    return "\n".join(lines)


def _grown(found: Slope | None) -> str:
    return "too few samples" if found is None else f"{found.mib_per_min:8.2f} {found.high:8.2f}"


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    app()
