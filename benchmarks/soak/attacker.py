"""`python -m benchmarks.soak.attacker NAME ADDRESS`: one attack, in a process of its own.

Says a line when its bytes are made. Each line that it is told is a number of seconds, for which it
attacks; then it says what became of it, as JSON.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog
import uvloop

from benchmarks.soak.attacks import ATTACKS, Attack, Life
from benchmarks.soak.attempts import Attempts
from benchmarks.soak.session import Ended
from benchmarks.soak.tally import Fault

# On two cores the good client and its service would wait for the attacker's interpreter: what is
# measured is how the service shares itself, not how the machine does.
_NICE = 19
# Who is turned away comes back, but not at once.
_AGAIN_S = 0.1


@dataclass(slots=True)
class Toll:
    """What an attack did, and what it was told."""

    sent_bytes: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # of the service


async def attack(planned: Attack, life: Life, address: str, seconds: float) -> Toll:
    """On all its connections for so long."""
    attempts, toll = Attempts(planned.rounds_per_s), Toll()
    lives = [
        asyncio.create_task(_again(life, address, attempts, toll))
        for _ in range(planned.connections)
    ]
    await asyncio.wait(lives, timeout=seconds)
    for one in lives:
        one.cancel()
    for outcome in await asyncio.gather(*lives, return_exceptions=True):
        if isinstance(outcome, Exception):  # a mistake of ours
            raise outcome
    toll.sent_bytes, toll.outcomes = attempts.sent_bytes, dict(attempts.outcomes)
    return toll


async def _again(life: Life, address: str, attempts: Attempts, toll: Toll) -> None:
    """Until it is cancelled."""
    while True:
        try:
            await life(address, attempts)
        except Ended as ended:
            attempts.count(f"ended: {ended}")
        except OSError as error:
            attempts.count(f"broken: {type(error).__name__}")
        except Fault as fault:
            toll.faults.append(str(fault))
        await asyncio.sleep(_AGAIN_S)


def main(name: str, address: str) -> None:
    planned = next(one for one in ATTACKS if one.name == name)
    life = planned.prepare()
    os.nice(_NICE)
    # What our own channel logs is no answer.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    print("ready", flush=True)
    for line in sys.stdin:
        toll: dict[str, Any] = asdict(uvloop.run(attack(planned, life, address, float(line))))
        print(json.dumps(toll), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
