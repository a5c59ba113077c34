"""Notices a child whose event loop has stopped: one that hangs would never die by itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from server.app.settings import BEAT_S

# A look in which nothing was heard counts as so much, however late it came: while the supervisor
# itself was not run, as where the machine slept or was too busy, it did not look.
LOOK_S = 2 * BEAT_S
# The loop of a worker was seen to stop for 165 ms by what peers do, and for 12 s, on a busy
# machine, to compile a configuration: a start has 30 s for that, and so has a live update.
WORKER_SILENT_S = 30.0
# It may hold its loop with a large configuration and with the window that follows; meanwhile
# callers are served without it.
CONTROL_SILENT_S = 60.0
_READ_BYTES = 4_096


async def hangs(
    beats: asyncio.StreamReader,
    on_told: Callable[[bytes], object] = bool,
    *,
    silent_s_max: float,
) -> bool:
    """Listens to a child until it ends, or tells nothing for so long: then true."""
    silent_s = 0.0
    while silent_s < silent_s_max:
        try:
            async with asyncio.timeout(LOOK_S):
                told = await beats.read(_READ_BYTES)
            if not told:
                return False
            on_told(told)
            silent_s = 0.0
        except TimeoutError:
            silent_s += LOOK_S
    return True


def state_of(pid: int) -> str:
    """As ps has it: R computes, S or D waits, T was stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "unknown"
