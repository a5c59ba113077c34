"""Attacks beside a mixed load: one after the other, and those that take long all the while."""

import asyncio
import json
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.soak.attacks import ATTACKS, Attack
from benchmarks.soak.one_by_one import started
from benchmarks.soak.tally import Fault, Tally

_ATTACK_S = 10.0
# Between two attacks, for memory to be what it is without them.
_REST_S = 10.0


def rotations(seconds: float) -> tuple[tuple[Attack, ...], ...]:
    """Which attacks take turns in so much time; those of different rotations overlap."""
    short = tuple(one for one in ATTACKS if not one.seconds_min)
    return (short, *((one,) for one in ATTACKS if 0 < one.seconds_min < seconds))


async def rotate(
    attacks: Sequence[Attack], address: str, folder: Path, until_s: float, tally: Tally
) -> None:
    """One after the other, again and again, as long as there is time for one."""
    for planned in cycle(attacks):
        seconds = max(_ATTACK_S, planned.seconds_min)
        if time.monotonic() + seconds + _REST_S > until_s:
            return
        with tally.counting(planned.name):
            if wrong := await asyncio.to_thread(_attack, planned.name, address, folder, seconds):
                raise Fault(wrong[0])
        await asyncio.sleep(_REST_S)


def _attack(name: str, address: str, folder: Path, seconds: float) -> list[str]:
    """What was wrong."""
    with started("attacker", name, address, folder=folder) as attacker:
        wrong: list[str] = json.loads(attacker.ask(str(seconds)))["faults"]
    return wrong
