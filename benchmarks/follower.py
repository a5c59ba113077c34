"""A worker's event loop while plans come in: how long it stands still at most.

`python -m benchmarks.follower ADDRESS publish|discard PLANS PARTS` follows a plan source as a
worker does, or drops what comes; asks for this many plans of this many parts, one after the other,
and prints the longest stall in microseconds. A process of its own: what it holds beside the plan,
which the garbage collector walks through, is what a worker holds. A stall is CPU time of the loop's
thread, for what the scheduler gives to others meanwhile is no work of ours.
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Callable, Coroutine
from typing import NamedTuple

import grpc
import uvloop

from benchmarks.floors.discarded_stream import DiscardedStream
from server.app.follower import Follower
from server.app.stats import Pushes
from server.app.worker import YOUNG_OBJECTS
from server.control.client import ControlClient, control_channel
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import Selector
from server.telemetry.logs import configure_logs
from server.transport.channel.channel import Channel
from server.upstream.upstreams import Upstreams
from turnout.v1.control_pb2 import PushStatsRequest

_WAIT_S = 30.0


class Following(NamedTuple):
    """Someone who follows the plan."""

    run: Coroutine[None, None, None]  # never ends
    newest: Callable[[], object]  # another one whenever a plan has come whole


def publishing(channel: Channel) -> Following:
    """A worker, which puts every plan in force."""
    selector = Selector()
    router = Router(selector, Sealer(bytes(KEY_BYTES), boot=0), Counters(), chance=lambda: 0.5)
    follower = Follower(
        router, Upstreams({}, now_s=time.monotonic).track, Pushes("b0").follow, lambda _: None
    )
    run = follower.run(ControlClient(channel, "subject"))
    return Following(run, lambda: selector.table.plan_id)


def discarding(channel: grpc.aio.Channel, parts: int) -> Following:
    """The floor, which counts the parts."""
    stream = DiscardedStream(channel)
    return Following(stream.follow(), lambda: stream.parts // parts)


async def longest_stall_us(
    following: Following,
    ask: Callable[[], Coroutine[None, None, None]],
    plans: int,
    clock: Callable[[], float] = time.thread_time,
) -> float:
    """Over as many plans, after a first one that warms up."""
    task = asyncio.create_task(following.run)
    await _turning_us(following.newest, clock)
    longest_us = 0.0
    for _ in range(plans):
        asking = asyncio.create_task(ask())
        longest_us = max(longest_us, await _turning_us(following.newest, clock))
        await asking
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return longest_us


async def _turning_us(newest: Callable[[], object], clock: Callable[[], float]) -> float:
    """Turns the loop without rest until the next plan has come; returns the longest turn."""
    before, longest_s, last_s = newest(), 0.0, clock()
    async with asyncio.timeout(_WAIT_S):
        while newest() == before:
            await asyncio.sleep(0)
            now_s = clock()
            longest_s, last_s = max(longest_s, now_s - last_s), now_s
    return longest_s * 1e6


async def main(address: str, what: str, plans: int, parts: int) -> None:
    gc.set_threshold(YOUNG_OBJECTS)  # as a worker does
    async with control_channel(address) as channel, grpc.aio.insecure_channel(address) as stock:
        following = publishing(channel) if what == "publish" else discarding(stock, parts)
        control = ControlClient(channel, "follower")
        print(await longest_stall_us(following, lambda: control.push(PushStatsRequest()), plans))


if __name__ == "__main__":
    configure_logs("follower")  # on stderr, as a worker's
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
