"""Peers who have more for a server than a turn holds, and others beside them."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import count

from server.status_code import Code
from server.transport.grpc.messages import MessageBuffer, framed, framed_gzip
from server.transport.loop.turns import TURN_S
from server.transport.serving.call import ServerCall
from tests.server.transport.serving.raw_caller import Caller, Servicer, calling, echo, serving, soon

_LARGE_BYTES = 20 * 2**20


def ticking(calls_a_turn: int) -> "count[float]":
    """A clock by which so many calls take a turn, whatever the machine."""
    return count(0.0, TURN_S / calls_a_turn)


def noting(order: list[bytes]) -> Servicer:
    async def note(request: bytes, context: object) -> bytes:
        order.append(bytes(request))
        return b""

    return note


def say_many(caller: Caller, message: bytes, times: int) -> None:
    """In one write."""
    for _ in range(times):
        caller.prepare("Note", framed(message))
    caller.flush()


async def test_a_caller_is_answered_before_what_another_has_said_is_all_done() -> None:
    order: list[bytes] = []
    clock = ticking(calls_a_turn=10)
    async with (
        serving(clock=lambda: next(clock), unary_Note=noting(order)) as (_, address),
        calling(address) as greedy,
        calling(address) as modest,
    ):
        await greedy.beat()
        await modest.beat()
        say_many(greedy, b"greedy", 900)
        assert (await modest.call("Note", b"modest")).status == Code.OK
        assert order.index(b"modest") < 500
        await greedy.beat()
        assert order.count(b"greedy") == 900


async def test_what_waits_for_its_turn_is_handled_in_order() -> None:
    order: list[bytes] = []
    clock = ticking(calls_a_turn=3)
    async with (
        serving(clock=lambda: next(clock), unary_Note=noting(order)) as (_, address),
        calling(address) as caller,
    ):
        await caller.beat()
        for nth in range(300):
            caller.prepare("Note", framed(str(nth).encode()))
        caller.flush()
        await caller.beat()
    assert order == [str(nth).encode() for nth in range(300)]


async def test_a_connection_that_ends_while_it_waits_for_its_turn_is_handled_no_more() -> None:
    order: list[bytes] = []
    clock = ticking(calls_a_turn=1)
    noted, ended = asyncio.Event(), asyncio.Event()

    async def note(request: bytes, context: object) -> bytes:
        order.append(request)
        noted.set()
        return b""

    async with serving(clock=lambda: next(clock), on_ended=ended.set, unary_Note=note) as (
        _,
        address,
    ):
        async with calling(address) as caller:
            await caller.beat()
            say_many(caller, b"greedy", 900)
            await soon(noted.wait())
        await soon(ended.wait())
        handled = len(order)
        async with calling(address) as next_caller:
            await next_caller.beat()
    assert len(order) == handled < 900


async def test_a_large_message_is_inflated_turn_by_turn() -> None:
    """Others are served between two stretches, of which there are eighty."""
    order: list[bytes] = []
    clock = ticking(calls_a_turn=1_000)

    async def large(request: bytes, context: object) -> bytes:
        order.append(b"large")
        return str(len(request)).encode()

    sent = framed_gzip(_some_text(_LARGE_BYTES))
    async with (
        serving(
            message_bytes_max={"/raw.Test/Large": _LARGE_BYTES},
            clock=lambda: next(clock),
            unary_Large=large,
            unary_Note=noting(order),
        ) as (_, address),
        calling(address) as greedy,
        calling(address) as modest,
    ):
        await greedy.beat()
        stream_id = greedy.begin("Large", grpc_encoding="gzip")
        greedy.send(stream_id, sent, end=True)
        answering = asyncio.create_task(greedy.answer(stream_id))
        while not answering.done():
            await modest.call("Note", b"modest")
        answer = await answering
    assert _only(answer.data) == str(_LARGE_BYTES).encode()
    assert order.index(b"large") > 10


async def test_a_bomb_ends_its_call_alone() -> None:
    async with serving(unary_Echo=echo) as (server, address), calling(address) as caller:
        bomb = caller.begin("Echo", grpc_encoding="gzip")
        caller.send(bomb, framed_gzip(bytes(4 * 2**20)), end=True)
        refused = await caller.answer(bomb)
        assert (refused.status, "100 times its bytes" in refused.message) == (
            Code.RESOURCE_EXHAUSTED,
            True,
        )
        assert (await caller.call("Echo", b"next")).status == Code.OK
        assert server.limits_reached == {"message_bytes": 1}


async def test_a_caller_may_leave_while_its_message_is_inflated() -> None:
    answered: list[bytes] = []
    clock = ticking(calls_a_turn=1_000)
    async with (
        serving(
            message_bytes_max={"/raw.Test/Note": _LARGE_BYTES},
            clock=lambda: next(clock),
            unary_Note=noting(answered),
        ) as (_, address),
        calling(address) as caller,
    ):
        stream_id = caller.begin("Note", grpc_encoding="gzip")
        caller.send(stream_id, framed_gzip(_some_text(_LARGE_BYTES)), end=True)
        await caller.beat()
        caller.http2.reset(stream_id)
        caller.flush()
        await caller.beat()
        assert (await caller.call("Note", b"next")).status == Code.OK
    assert answered == [b"next"]


async def test_servicers_of_several_connections_take_turns() -> None:
    order: list[bytes] = []
    clock = ticking(calls_a_turn=1)
    begun = asyncio.Barrier(2)

    async def long(request: bytes, context: ServerCall) -> bytes:
        async with begun:
            pass
        for _ in range(20):
            await context.turn()
            order.append(request)
        return b""

    async with (
        serving(clock=lambda: next(clock), unary_Long=long) as (_, address),
        calling(address) as first,
        calling(address) as second,
    ):
        await soon(asyncio.gather(first.call("Long", b"1"), second.call("Long", b"2")))
    ahead = [2 * order[:nth].count(b"1") - nth for nth in range(30)]
    assert max(map(abs, ahead)) <= 3  # each asked a little sooner or later than the other


async def test_a_message_that_is_too_large_is_refused_with_what_the_server_says_of_it() -> None:
    async with (
        serving(
            message_bytes_max={"/raw.Test/Echo": 100},
            too_large=lambda message: (("why", message),),
            unary_Echo=echo,
        ) as (_, address),
        calling(address) as caller,
    ):
        for fields in ({}, {"grpc_encoding": "gzip"}):
            frame = framed_gzip if fields else framed
            call = caller.begin("Echo", **fields)
            caller.send(call, frame(bytes(101)), end=True)
            refused = await caller.answer(call)
            said = {**refused.head, **refused.trailers}
            assert said[b"why"] == b"a message is larger than 100 bytes"


async def test_what_a_servicer_waits_for_is_no_work_of_its_connection() -> None:
    """Its caller goes before one that has worked meanwhile."""
    order: list[bytes] = []
    now_s = [0.0]
    go_on, waits, is_busy = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def patient(request: bytes, context: ServerCall) -> bytes:
        await context.turn()
        waits.set()
        await go_on.wait()
        now_s[0] += 0.001
        await context.turn()
        order.append(request)
        return b""

    async def busy(request: bytes, context: ServerCall) -> bytes:
        for _ in range(100):
            await context.turn()
            order.append(request)
            is_busy.set()
            now_s[0] += 0.01
        return b""

    async with (
        serving(clock=lambda: now_s[0], unary_Patient=patient, unary_Busy=busy) as (_, address),
        calling(address) as one,
        calling(address) as other,
    ):
        first = asyncio.create_task(one.call("Patient", b"patient"))
        await soon(waits.wait())
        now_s[0] += 1_000.0
        second = asyncio.create_task(other.call("Busy", b"busy"))
        await soon(is_busy.wait())
        go_on.set()
        await soon(asyncio.gather(first, second))
    assert order.index(b"patient") < 10


async def test_the_messages_of_a_stream_are_read_in_turns() -> None:
    order: list[bytes] = []

    async def many(requests: AsyncIterator[bytes], context: ServerCall) -> bytes:
        async for request in requests:
            order.append(bytes(request))  # noqa: PERF401 - each when it is read
        return b""

    clock = ticking(calls_a_turn=1)
    async with (
        serving(clock=lambda: next(clock), input_Many=many, unary_Note=noting(order)) as (
            _,
            address,
        ),
        calling(address) as greedy,
        calling(address) as modest,
    ):
        await greedy.beat()
        call = greedy.begin("Many")
        greedy.send(call, framed(b"greedy") * 500, end=True)
        assert (await modest.call("Note", b"modest")).status == Code.OK
        await greedy.answer(call)
    assert order.index(b"modest") < 250
    assert order.count(b"greedy") == 500


async def test_the_calls_of_a_connection_that_is_lost_are_cancelled_in_turns() -> None:
    """All of them, though not at once."""
    began, cancelled, ended = [0], [0], asyncio.Event()
    all_gone = asyncio.Event()

    async def wait(request: bytes, context: object) -> bytes:
        began[0] += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled[0] += 1
            if cancelled[0] == began[0]:
                all_gone.set()
            raise
        return b""

    async with serving(on_ended=ended.set, unary_Wait=wait) as (_, address):
        async with calling(address) as caller:
            await caller.beat()
            for _ in range(900):
                caller.prepare("Wait", framed(b""))
            caller.flush()
            await caller.beat()
        await soon(ended.wait())
        assert cancelled[0] < began[0] == 900
        await soon(all_gone.wait())


async def test_each_method_has_a_limit_of_its_own() -> None:
    small = {"/raw.Test/Small": 100}
    async with (
        serving(message_bytes_max=small, unary_Small=echo, unary_Echo=echo) as (server, address),
        calling(address) as caller,
    ):
        assert (await caller.call("Small", bytes(100))).status == Code.OK
        refused = await caller.call("Small", bytes(101))
        assert refused.status == Code.RESOURCE_EXHAUSTED
        assert refused.message == "a message is larger than 100 bytes"
        by_prefix = caller.begin("Small")
        caller.send(by_prefix, framed(bytes(101))[:5])
        assert (await caller.answer(by_prefix)).status == Code.RESOURCE_EXHAUSTED
        assert (await caller.call("Echo", bytes(101))).status == Code.OK
        assert server.limits_reached == {"message_bytes": 2}


def _some_text(size: int) -> bytes:
    """That shrinks to a thirtieth or so."""
    dice, part = random.Random(1), 4_000
    return b"".join(dice.randbytes(100) + bytes(part) for _ in range(size // part))[:size]


def _only(data: bytes) -> bytes:
    buffer = MessageBuffer(100, gzip=False)
    buffer.append(data)
    message = buffer.next()
    assert isinstance(message, bytes)
    return message


async def test_deadlines_that_pass_at_once_take_turns() -> None:
    ticks, waiting, ended_in = ticking(calls_a_turn=1), list[bytes](), list[int]()
    passes = count()
    seen = 0

    async def wait(request: bytes, context: object) -> bytes:
        waiting.append(request)
        try:
            return await asyncio.Future()
        finally:
            ended_in.append(seen)

    async with (
        # It stands still until all calls have come, so that their deadlines are the same.
        serving(clock=lambda: next(ticks) if len(waiting) == 20 else 0.0, unary_Wait=wait) as (
            _,
            address,
        ),
        calling(address) as caller,
    ):
        await caller.beat()
        for _ in range(20):
            last = caller.prepare("Wait", framed(b""), grpc_timeout="100m")
        caller.flush()
        answering = asyncio.create_task(caller.answer(last))
        while not answering.done():
            seen = next(passes)
            await asyncio.sleep(0)
    assert (await answering).status == Code.DEADLINE_EXCEEDED
    assert len(ended_in) == 20
    assert len(set(ended_in)) > 10
