"""`python -m benchmarks.fuzz [--seconds 60] [--target NAME]`; exit status 1 if anything failed."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.fuzz import corpus, failures
from benchmarks.fuzz.catalogue import TARGETS
from benchmarks.fuzz.hunt import hunt
from benchmarks.fuzz.report import as_json, told
from benchmarks.fuzz.run import Runner
from benchmarks.fuzz.search import Findings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0913 - the options of a command
    target: Annotated[list[str] | None, typer.Option(help="Only these; all by default.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="For all targets together.")] = 60.0,
    seed: Annotated[int | None, typer.Option(help="As an earlier run told it.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="The findings.")] = False,
    keep: Annotated[bool, typer.Option(help="Renew the corpora with what was found.")] = False,
    minimize: Annotated[bool, typer.Option(help="Make failing inputs shorter.")] = False,
    repeat: Annotated[Path | None, typer.Option(help="Only measure this file.")] = None,
) -> None:
    """Looks for inputs that break, or take more time or memory than they may."""
    chosen = _chosen(target)
    if repeat is not None:
        raise typer.Exit(_repeat(chosen, repeat.read_bytes()))
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    found = {name: hunt(name, seconds / len(chosen), seed) for name in chosen}
    if keep:
        _keep(found)
    print(json.dumps(as_json(found, seed), indent=2) if json_ else told(found, seed))
    failed = failures.write(found, minimize=minimize)
    print("\n".join(failed), end="\n" if failed else "")
    raise typer.Exit(1 if failed else 0)


def _keep(found: Mapping[str, Findings]) -> None:
    """With how each ends, run in the order and as alone as a test runs them."""
    ends = json.loads(corpus.ENDS.read_text()) if corpus.ENDS.exists() else {}
    for name, findings in found.items():
        corpus.keep(name, findings.population.inputs())
        with Runner(TARGETS[name]) as runner:
            kept = corpus.read(name)
            ends[name] = {
                corpus.file_name(data): corpus.kind_of_end(runner.run(data).outcome)
                for data in kept
            }
    corpus.ENDS.write_text(json.dumps(ends, indent=1, sort_keys=True) + "\n")


def _chosen(names: Sequence[str] | None) -> list[str]:
    unknown = set(names or ()) - TARGETS.keys()
    if unknown:
        raise typer.BadParameter(f"{min(unknown)!r}: there is {', '.join(TARGETS)}")
    return list(names or TARGETS)


def _repeat(names: Sequence[str], data: bytes) -> int:
    """The exit status."""
    measured = {name: failures.repeat(name, data) for name in names}
    for name, (breach, cost) in measured.items():
        print(f"{name}: {breach or 'passed'}: {cost}")
    return int(any(breach for breach, _ in measured.values()))


if __name__ == "__main__":
    app()
