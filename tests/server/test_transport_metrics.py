"""What operators see of the transport: real workers, real callers, a real scrape."""

import asyncio
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from server.transport.grpc.messages import framed
from server.transport.http2.limits import Limits
from tests.server.running import serving, write_config
from tests.server.transport.serving.raw_caller import Caller, calling

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PATIENCE_S = 60.0
CALLS = "turnout_transport_calls_total"
CONNECTIONS = "turnout_transport_connections"
PINGS = 'turnout_transport_limits_reached_total{limit="pings"}'


@pytest.fixture
def port() -> Iterator[int]:
    """One that nobody else is given; it can be listened on, for this socket does not."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


async def shown(port: int, expected: Mapping[str, float]) -> None:
    """Returns once a scrape says all of this."""
    said: Mapping[str, float] = {}
    async with asyncio.timeout(PATIENCE_S):
        while not expected.items() <= said.items():
            said = await asyncio.to_thread(scraped, port)


async def flood(caller: Caller) -> None:
    """Pings more than is allowed, in however many reads it comes."""
    for _ in range(2 * Limits().pings.burst):
        caller.http2.ping(bytes(8))
    caller.flush()
    await caller.ended()


async def test_a_scrape_shows_what_all_workers_hold_and_which_limits_were_reached(
    tmp_path: Path, port: int
) -> None:
    listeners = {"data": "127.0.0.1:0", "prometheus": f"127.0.0.1:{port}"}
    path = write_config(tmp_path, "127.0.0.1:1", listeners=listeners)
    async with serving(path, tmp_path / "state", "--workers", "2") as service:
        await shown(port, {PINGS: 0, CONNECTIONS: 0, CALLS: 0})
        async with calling(service.data) as one, calling(service.data) as other:
            await shown(port, {CONNECTIONS: 2})
            workers = (await service.info()).workers
            assert [(w.name, w.connections) for w in workers] == [("worker-0", 1), ("worker-1", 1)]
            for caller in (one, other):
                caller.request("/grpc.health.v1.Health/Check", framed(b""))
                await flood(caller)
            await shown(port, {PINGS: 2, CONNECTIONS: 0, CALLS: 2})


async def test_of_grpcio_nothing_is_told(tmp_path: Path, port: int) -> None:
    listeners = {"data": "127.0.0.1:0", "prometheus": f"127.0.0.1:{port}"}
    path = write_config(tmp_path, "127.0.0.1:1", listeners=listeners)
    async with serving(path, tmp_path / "state", "--transport", "grpcio"):
        await shown(port, {PINGS: 0, CALLS: 0})
        assert CONNECTIONS not in await asyncio.to_thread(scraped, port)
