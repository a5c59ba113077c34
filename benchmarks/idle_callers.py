"""Callers that connect, call once, and keep their connections with nothing on them.

`python -m benchmarks.idle_callers` takes a Crowd on a line, says "here" once each of its calls is
answered, and holds the connections until the end of its standard input.
"""

import asyncio
import sys
import time

import uvloop

from benchmarks.load import Call, answers, connect
from benchmarks.wire_client import Connection

# At a time: fewer than a worker may have waiting for it, and than a server has to hold calls of.
_AT_ONCE = 32


class Crowd(Call, frozen=True):
    """How many there are."""

    connections: int


async def gather(crowd: Crowd) -> list[Connection]:
    """Their connections, each after its call; raises what failed."""
    connections, latencies_s = list[Connection](), list[float]()
    for first in range(0, crowd.connections, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, crowd.connections))
        some = [await connect(crowd, number, latencies_s.append) for number in numbers]
        for connection in some:
            connection.send(1, time.perf_counter())
        connections += some
        await answers(some, latencies_s, len(connections))
    return connections


async def main() -> None:
    connections = await gather(Crowd.model_validate_json(sys.stdin.readline()))
    print("here", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for connection in connections:
        connection.close()


if __name__ == "__main__":
    uvloop.run(main())
