"""`python -m benchmarks.soak.beside ADDRESS`: the good client beside an attack.

Each line that it is told is a number of seconds, for which it calls Route at a steady rate, however
slow the answers are. Then it says how long each took from when it was due, and what was lost.
"""

import asyncio
import sys
import time

import structlog
import uvloop
from pydantic import BaseModel

from benchmarks.load import arrivals_s
from benchmarks.soak.callers import ROUTE
from benchmarks.soak.clients import DEADLINE_S, Ours, Refused
from benchmarks.soak.stage import KEPT
from turnout.v1 import routing_pb2 as pb

CALLS_PER_S = 50
_SEED = 1


class Heard(BaseModel, frozen=True):
    """Of calls in a stretch of time."""

    latencies_s: tuple[float, ...]
    lost: tuple[str, ...]  # why, each


async def calls(client: Ours, seconds: float) -> Heard:
    """An open loop; returns when each call has been answered or lost."""
    loop, latencies_s, lost = asyncio.get_running_loop(), list[float](), list[str]()
    tasks: list[asyncio.Task[None]] = []

    async def call(number: int, due_s: float) -> None:
        try:
            await _route(client, f"g{number}")
        except Refused as refused:
            lost.append(str(refused))
        else:
            latencies_s.append(time.perf_counter() - due_s)

    def begin(number: int, due_s: float) -> None:
        tasks.append(loop.create_task(call(number, due_s)))

    def pace() -> None:
        """A loop's own timers are late by up to a millisecond."""
        begun_s = time.perf_counter()
        for number, at_s in enumerate(arrivals_s(round(seconds * CALLS_PER_S), CALLS_PER_S, _SEED)):
            due_s = begun_s + at_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            loop.call_soon_threadsafe(begin, number, due_s)

    await asyncio.to_thread(pace)
    await asyncio.gather(*tasks)
    return Heard(latencies_s=tuple(latencies_s), lost=tuple(lost))


async def _route(client: Ours, request_id: str) -> None:
    """Raises Refused."""
    context = pb.RequestContext(traffic_class=KEPT, request_id=request_id)
    features = pb.Features(input_tokens=100)
    request = pb.RouteRequest(context=context, features=features).SerializeToString()
    answer = pb.RouteResponse.FromString(await client.unary(ROUTE, request, DEADLINE_S))
    if answer.request_id != request_id or not answer.target.model:
        raise Refused(0, f"another answer came for {request_id} than was asked for")


async def main(address: str) -> None:
    # What our own channel logs is no answer.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    client = Ours(address)
    await calls(client, 1.0)  # warm
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print((await calls(client, float(line))).model_dump_json(), flush=True)
    await client.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
