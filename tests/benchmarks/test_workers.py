import asyncio
import subprocess
import sys

import pytest

from benchmarks.floors.bare_server import Context
from benchmarks.idle_callers import Crowd, gather
from benchmarks.workers import busiest_and_mean
from tests.benchmarks.test_load import listening


@pytest.mark.parametrize(
    ("calls", "connections", "ratio"),
    [
        ((64, 0, 0, 0), 1, 1.0),  # no other could have had any
        ((32, 0, 32, 0), 2, 1.0),
        ((64, 0, 0, 0), 2, 2.0),
        ((16, 16, 16, 16), 4, 1.0),
        ((16, 16, 16, 16), 16, 1.0),
        ((28, 12, 12, 12), 16, 1.75),
    ],
)
def test_imbalance_is_of_the_workers_that_could_have_had_calls(
    calls: tuple[int, ...], connections: int, ratio: float
) -> None:
    busiest, mean = busiest_and_mean(calls, connections)
    assert busiest / mean == ratio


async def test_each_caller_of_a_crowd_has_called_once_and_stays() -> None:
    peers: list[str] = []

    async def answer(_request: bytes, context: Context) -> bytes:
        peers.append(context.peer())
        return b"that"

    async with listening(answer) as address:
        crowd = Crowd(
            address=address,
            method="/any.Service/Method",
            request_hex=b"what".hex(),
            answer_bytes_min=4,
            metadata="fresh",
            seed=7,
            connections=50,
        )
        connections = await gather(crowd)
        assert len(peers) == len(set(peers)) == len(connections) == 50
        for connection in connections:
            connection.send(1, due_s=0)
        async with asyncio.timeout(20):
            while len(peers) < 100:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
        assert len(set(peers)) == 50
        for connection in connections:
            connection.close()


def test_a_limit_of_descriptors_that_is_too_low_is_named() -> None:
    run = f"ulimit -n 100 && exec {sys.executable} -m benchmarks run workers --toy"
    done = subprocess.run(["sh", "-c", run], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the hard limit is 100" in done.stderr
