import asyncio
import itertools
import os
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from benchmarks.cpu_time import cpu_s
from benchmarks.floors.bare_server import Answer, AnyMethod, Context, constant, forwarding
from benchmarks.load import Order, arrivals_s, percentile, toll
from benchmarks.wire_client import CallFailed, Metadata


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((AnyMethod(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def order(
    address: str,
    *,
    metadata: Metadata = "fresh",
    request: bytes = b"what",
    answer_bytes_min: int = 0,
) -> Order:
    return Order(
        address=address,
        method="/any.Service/Method",
        request_hex=request.hex(),
        answer_bytes_min=answer_bytes_min,
        metadata=metadata,
        pids=(os.getpid(),),
        connections=2,
        calls=3,
        bursts=5,
        rate_per_s=1_000,
        seed=7,
    )


def test_arrivals_come_at_their_rate() -> None:
    assert arrivals_s(10_000, 500, seed=7)[-1] == pytest.approx(20, rel=0.05)


def test_arrivals_do_not_wait_for_each_other() -> None:
    due_s = arrivals_s(10_000, 500, seed=7)
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(due_s)]
    # Poisson: the gaps spread as widely as they are long.
    assert statistics.stdev(gaps_s) == pytest.approx(statistics.mean(gaps_s), rel=0.05)


def test_arrivals_are_the_same_for_the_same_seed() -> None:
    assert arrivals_s(5, 500, seed=7) == arrivals_s(5, 500, seed=7) != arrivals_s(5, 500, seed=8)


@pytest.mark.parametrize(("part", "value"), [(0.5, 50), (0.99, 99), (0.999, 100)])
def test_a_percentile_is_a_value_that_came(part: float, value: int) -> None:
    assert percentile(range(1, 101)[::-1], part) == value


async def test_a_burst_is_sent_when_it_is_due_however_slow_the_last_one_is() -> None:
    second = asyncio.Event()
    seen = 0

    async def answer(_request: bytes, _context: Context) -> bytes:
        nonlocal seen
        seen += 1
        if seen > 6:
            second.set()
        await second.wait()  # the first burst is answered once the second is there
        return b""

    async with listening(answer) as address:
        assert (await toll(order(address))).p50_us > 0


@pytest.mark.parametrize("metadata", ["fixed", "fresh", "huffman"])
async def test_a_server_of_grpcio_understands_the_calls(metadata: Metadata) -> None:
    asked: list[bytes] = []
    parents: set[str | bytes] = set()

    async def answer(request: bytes, context: Context) -> bytes:
        asked.append(request)
        parents.add(dict(context.invocation_metadata() or ())["traceparent"])
        return b"that"

    async with listening(answer) as address:
        await toll(order(address, metadata=metadata))
    calls = (4 + 5) * 6  # bursts that warm up, and those that count
    assert asked == [b"what"] * calls
    assert len(parents) == (2 if metadata == "fixed" else calls)


async def test_a_request_larger_than_every_window_arrives_whole() -> None:
    async def answer(request: bytes, _context: Context) -> bytes:
        assert request == bytes(range(256)) * 1_000
        return b""

    async with listening(answer) as address:
        await toll(order(address, request=bytes(range(256)) * 1_000))


async def test_a_toll_counts_the_server_process() -> None:
    async with listening(constant(b"that")) as address:
        found = await toll(order(address))
    # Here both are this process, over the same calls.
    assert found.cpu_us > 0
    assert found.p50_us <= found.p99_us <= found.p999_us


def test_the_time_of_several_workers_is_counted_together() -> None:
    used_s = cpu_s(os.getpid())
    several = order("127.0.0.1:1").model_copy(update={"pids": (os.getpid(),) * 3})
    assert several.cpu_s() >= 3 * used_s


async def test_a_call_that_fails_ends_the_run() -> None:
    async def refuse(_request: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "closed")

    async with listening(refuse) as address:
        with pytest.raises(CallFailed, match="closed"):
            await toll(order(address))


async def test_an_answer_that_is_too_short_ends_the_run() -> None:
    async with listening(constant(b"")) as address:
        with pytest.raises(CallFailed, match="5 bytes"):
            await toll(order(address, answer_bytes_min=6))


async def test_the_bare_proxy_passes_request_and_answer_on() -> None:
    async def shout(request: bytes, _context: Context) -> bytes:
        return request.upper()

    async with (
        listening(shout) as upstream,
        grpc.aio.insecure_channel(upstream) as behind,
        listening(forwarding(behind)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/a.B/C")
        assert await call(b"what", timeout=10) == b"WHAT"
