"""What is left of a load: nothing, if the service is right."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from benchmarks.soak.memory import Slope
from benchmarks.soak.stage import KEPT, Stage
from benchmarks.soak.tally import Tally

# From this on memory is judged; a shorter run cannot show so small a slope.
JUDGED_MINUTES = 10.0
GROWTH_MIB_PER_MIN_MAX = 1.0
# An hour shows a smaller slope.
LONG_MINUTES = 60.0
LONG_GROWTH_MIB_PER_MIN_MAX = 0.2
# In ten minutes the control plane still fills what it may: estimates, remembered decisions.
_JUDGED = ("supervisor", "worker")
# For the service to see that all have left, and to tell the control plane what it counted.
_SETTLE_S = 20.0
_ASK_EVERY_S = 0.25
_LEFT_MAX = {"connections": 0, "streams": 0, "tasks": 0}


async def settle(service: Stage, tally: Tally, descriptors: int) -> None:
    """All have left: so must have what the service held for them."""
    left = await _until(lambda: asyncio.to_thread(_sockets, service), 0)
    if left:
        tally.fault(f"workers hold {left} connections after everybody has left")
    now = await _until(lambda: asyncio.to_thread(service.supervisor.num_fds), descriptors)
    if now != descriptors:
        tally.fault(f"the supervisor has {now} descriptors, {descriptors} before the load")
    counted = await _until(lambda: asyncio.to_thread(service.decided, KEPT), tally.decided)
    if counted != tally.decided:
        tally.fault(f"{tally.decided} decisions were answered, {counted} counted")


async def _until(ask: Callable[[], Awaitable[int]], wanted: int) -> int:
    """The wanted number, or the last that there was when time was over."""
    until_s = time.monotonic() + _SETTLE_S
    # Another process's count has no event that could be awaited.
    while (found := await ask()) != wanted and time.monotonic() < until_s:  # noqa: ASYNC110
        await asyncio.sleep(_ASK_EVERY_S)
    return found


def _sockets(service: Stage) -> int:
    """Of workers, those of their callers."""
    sockets = (one for worker in service.workers.values() for one in worker.net_connections("tcp"))
    return sum(bool(one.laddr) and one.laddr.port == service.port for one in sockets)


def judge_memory(slopes: Mapping[str, Slope | None], minutes: float, tally: Tally) -> None:
    if minutes < JUDGED_MINUTES:
        return
    is_long = minutes >= LONG_MINUTES
    most = LONG_GROWTH_MIB_PER_MIN_MAX if is_long else GROWTH_MIB_PER_MIN_MAX
    for name, found in slopes.items():
        if not is_long and not name.startswith(_JUDGED):
            continue
        if found is None or found.high >= most:
            tally.fault(f"the memory of {name} may grow: {found}")


def judge_end(service: Stage, tally: Tally) -> Mapping[str, int]:
    """What the service says once it has drained; returns the limits that were reached."""
    if service.status != 0:
        tally.fault(f"turnout ended with status {service.status}")
    for line in service.unreadable():
        tally.fault(f"the log says {line!r}")
    reached: dict[str, int] = {}
    drained = 0
    for entry in service.log():
        if entry["level"] in ("error", "critical", "warning"):
            tally.fault(f"the log says {entry}")
        if entry["event"] == "draining connections":
            drained += 1
            _judge_drain(entry, tally)
            for limit, times in entry["limits_reached"].items():
                reached[limit] = reached.get(limit, 0) + times
    if drained != len(service.workers):
        tally.fault(f"{drained} workers drained, {len(service.workers)} were started")
    return reached


def _judge_drain(entry: Mapping[str, Any], tally: Tally) -> None:
    for name, most in _LEFT_MAX.items():
        if entry[name] > most:
            tally.fault(f"{entry['process']} held {entry[name]} {name} after the load")
