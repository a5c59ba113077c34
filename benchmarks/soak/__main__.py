"""`python -m benchmarks.soak [--minutes 10] [--seed N] [--only ATTACK] [--json]`; exit status 1 if
it failed.
"""

import json
import random
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.soak.aftermath import JUDGED_MINUTES
from benchmarks.soak.attacks import ATTACKS, Attack
from benchmarks.soak.one_by_one import Lengths, Performance, perform
from benchmarks.soak.report import told, told_acts
from benchmarks.soak.run import Findings, soak

# Gives as many calls as a p99 needs.
_ATTACK_S = 10.0
# Of a run that is too short to judge by; memory and losses are judged all the same.
_ATTACK_SHORT_S = 3.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    minutes: Annotated[
        float,
        typer.Option(
            min=0.05, help=f"Of the mixed load. From {JUDGED_MINUTES:g} on all is judged."
        ),
    ] = JUDGED_MINUTES,
    seed: Annotated[int | None, typer.Option(help="As an earlier run told it.")] = None,
    only: Annotated[str, typer.Option(help="One attack, and no mixed load.")] = "",
    seconds: Annotated[float, typer.Option(min=0.5, help="Of that attack.")] = _ATTACK_S,
    as_json: Annotated[bool, typer.Option("--json", help="The findings.")] = False,
) -> None:
    """Attacks a real service in every way that is known, each with a good client beside it; then
    loads it for so long with everybody at once.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    with tempfile.TemporaryDirectory() as name:
        folder, mixed = Path(name), None
        if only:
            acts = perform(folder / "acts", _named(only), Lengths(seconds, seconds))
        else:
            is_judged = minutes >= JUDGED_MINUTES
            lengths = Lengths(_ATTACK_S, _ATTACK_S) if is_judged else Lengths(_ATTACK_SHORT_S, 0)
            acts = perform(
                folder / "acts", [one for one in ATTACKS if not one.seconds_min], lengths
            )
            if not as_json:
                print(told_acts(acts), flush=True)  # the rest takes long
            mixed = soak(folder / "mixed", minutes, seed)
    if as_json:
        print(_json(acts, mixed))
    else:
        print(told(mixed) if mixed else told_acts(acts))
    raise typer.Exit(1 if acts.faults or (mixed and mixed.faults_count) else 0)


def _named(name: str) -> list[Attack]:
    found = [one for one in ATTACKS if one.name == name]
    if not found:
        known = ", ".join(one.name for one in ATTACKS)
        raise typer.BadParameter(f"there is no attack {name!r}: name one of {known}")
    return found


def _json(acts: Performance, mixed: Findings | None) -> str:
    return json.dumps({"attacks": asdict(acts), "mixed": mixed and asdict(mixed)}, indent=2)


if __name__ == "__main__":
    app()
