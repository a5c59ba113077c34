"""The callers of the overload benchmark, and the endpoint that queues."""

import asyncio
import os
from collections import Counter
from typing import cast

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from benchmarks.floors.bare_server import Answer, Context, constant, queueing
from benchmarks.overload_callers import Fates, Order, Stream, Tally, tally
from tests.benchmarks.test_load import listening


def shed() -> bytes:
    packed = Any()
    packed.Pack(ErrorInfo(reason="SHED", domain="turnout"))
    status: bytes = Status(code=14, details=[packed]).SerializeToString()
    return status


async def answer(request: bytes, context: Context) -> bytes:
    """The high class; the low one is refused, and others fail."""
    if request == b"low":
        await context.abort(
            grpc.StatusCode.UNAVAILABLE, "not now", (("grpc-status-details-bin", shed()),)
        )
    if request == b"broken":
        await context.abort(grpc.StatusCode.INTERNAL, "broken")
    return b""


def order(address: str, **slo_s: float) -> Order:
    return Order(
        address=address,
        method="/any.Service/Method",
        streams=tuple(
            Stream(
                traffic_class=name,
                request_hex=name.encode().hex(),
                rate_per_s=200,
                slo_s=slo_s.get(name, 20.0),
            )
            for name in ("high", "low", "broken")
        ),
        settle_s=0.1,
        counted_s=0.2,
        deadline_s=20,
        connections=2,
        pids=(os.getpid(),),
        seed=7,
    )


def alike(fates: Fates, **counts: int) -> bool:
    """As many were sent as ended so."""
    return fates == Fates(sent=fates.sent, **dict.fromkeys(counts, fates.sent)) and fates.sent > 0


async def told(**slo_s: float) -> tuple[Tally, Counter[bytes]]:
    asked: Counter[bytes] = Counter()

    async def counting(request: bytes, context: Context) -> bytes:
        asked[request] += 1
        return await answer(request, context)

    async with listening(counting) as address:
        return await tally(order(address, **slo_s)), asked


async def test_what_became_of_calls_is_told_by_class() -> None:
    found, asked = await told()
    assert alike(found.classes["high"], in_time=1)
    assert alike(found.classes["low"], refused=1)
    assert alike(found.classes["broken"], failed=1)
    # What is due before the time that is counted is sent too.
    assert found.classes["high"].sent < asked[b"high"] == 60
    assert found.refused == asked[b"low"] == 60
    assert found.cpu_us > 0


async def test_an_answer_beyond_its_slo_is_late() -> None:
    found, _ = await told(high=0.0)
    assert alike(found.classes["high"], late=1)


@pytest.mark.parametrize("slots", [1, 3])
async def test_an_endpoint_that_queues_serves_so_many_at_one_time(slots: int) -> None:
    serving, most, hold = 0, 0, asyncio.Event()

    async def one(request: bytes, context: object) -> bytes:
        nonlocal serving, most
        serving += 1
        most = max(most, serving)
        await hold.wait()
        serving -= 1
        return request

    turns = queueing(one, slots, service_s=0.0)
    calls = [asyncio.create_task(_answered(turns, b"%d" % n)) for n in range(10)]
    for _ in range(100):
        await asyncio.sleep(0)
    assert most == slots
    hold.set()
    assert [await call for call in calls] == [b"%d" % n for n in range(10)]


async def _answered(turns: Answer, request: bytes) -> bytes:
    return await turns(request, cast("Context", None))  # no call: it is not looked at


async def test_who_has_given_up_leaves_the_queue() -> None:
    turns = queueing(constant(b"yes"), 1, service_s=0.0)
    given_up = [asyncio.create_task(_answered(turns, b"")) for _ in range(5)]
    for call in given_up:
        call.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    assert await _answered(turns, b"") == b"yes"
