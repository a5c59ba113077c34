"""What servicers may do with a call, and what their callers get."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import grpc
import pytest
from grpc.aio import AbortError
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.grpc.messages import MessageBuffer, framed
from server.transport.grpc.methods import takes_views
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import DataReceived, StreamReset, TrailersReceived
from server.transport.http2.limits import Limits
from server.transport.http2.output import ROOM_BYTES
from server.transport.serving.call import ServerCall
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.transport.serving.raw_caller import (
    SERVICE,
    Answer,
    Servicer,
    calling,
    echo,
    head,
    serving,
    soon,
    waiting,
)

variable = ContextVar("variable", default="outside")


def messages(data: bytes) -> list[bytes | memoryview]:
    buffer, found = MessageBuffer(2**24, gzip=True), []
    buffer.append(data)
    while (message := buffer.next()) is not None or buffer.is_behind:
        if message is not None:
            found.append(message)
    assert buffer.is_between
    return found


async def called(servicer: Servicer, *fields: tuple[bytes, bytes], **changed: str) -> Answer:
    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        return await caller.call("Call", b"hello", *fields, **changed)


async def test_a_servicer_that_does_not_wait_has_no_task() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        return repr(asyncio.current_task()).encode()

    assert messages((await called(servicer)).data) == [b"None"]


async def test_a_servicer_that_waits_goes_on_in_a_task() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        await asyncio.sleep(0)
        first = asyncio.current_task()
        async with asyncio.timeout(20):
            await asyncio.sleep(0.001)
        return repr(first is not None and first is asyncio.current_task()).encode()

    assert messages((await called(servicer)).data) == [b"True"]


async def test_what_a_servicer_waits_for_may_fail() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError())
        try:
            return await future
        except KeyError:
            await asyncio.sleep(0)
            return b"caught"

    assert messages((await called(servicer)).data) == [b"caught"]


async def test_what_a_servicer_waits_for_may_be_there_before_its_task() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, b"there")
        return await future

    assert messages((await called(servicer)).data) == [b"there"]


async def test_a_context_variable_is_the_calls_own_before_and_after_a_wait() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        before = variable.get()
        token = variable.set(request.decode())
        await asyncio.sleep(0)
        inside = variable.get()
        variable.reset(token)
        return f"{before} {inside} {variable.get()}".encode()

    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        for message in (b"a", b"b"):
            answer = await caller.call("Call", message)
            assert messages(answer.data) == [b"outside %s outside" % message]


@pytest.mark.parametrize("late", [False, True])
async def test_a_servicer_that_raises_is_logged_and_tells_nothing(late: bool) -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        if late:
            await asyncio.sleep(0)
        raise KeyError("secret")

    with capture_logs() as logs:
        answer = await called(servicer)
    assert (answer.status, answer.message) == (Code.UNKNOWN, "the servicer failed")
    assert [(log["event"], log["method"]) for log in logs] == [
        ("servicer failed", "/raw.Test/Call")
    ]
    assert isinstance(logs[0]["exc_info"], KeyError)


async def test_a_code_that_was_set_is_kept_when_the_servicer_raises() -> None:
    def servicer(request: bytes, context: ServerCall) -> bytes:
        """As generated servicers do for methods that nobody wrote."""
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("not written")
        raise NotImplementedError

    with capture_logs():
        answer = await called(servicer)
    assert (answer.status, answer.message) == (Code.UNIMPLEMENTED, "not written")


async def test_a_code_that_is_no_success_has_no_message() -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_trailing_metadata((("why", "so"),))
        return request

    answer = await called(servicer)
    assert (answer.status, answer.data, answer.head[b"why"]) == (Code.NOT_FOUND, b"", b"so")


async def test_an_abort_ends_a_call_though_the_servicer_goes_on() -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        with pytest.raises(AbortError):
            await context.abort(grpc.StatusCode.ABORTED, "no")
        assert context.done()
        return request

    answer = await called(servicer)
    assert (answer.status, answer.message, answer.data) == (Code.ABORTED, "no", b"")


async def test_an_abort_with_success_is_none() -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        await context.abort(grpc.StatusCode.OK)
        return request

    assert (await called(servicer)).status == Code.UNKNOWN


async def test_a_response_that_cannot_be_serialized_fails_the_call() -> None:
    async def servicer(request: bytes, context: object) -> Any:
        return None

    with capture_logs():
        assert (await called(servicer)).status == Code.UNKNOWN


async def test_initial_metadata_comes_before_the_response() -> None:
    go_on = asyncio.Event()

    async def servicer(request: bytes, context: ServerCall) -> bytes:
        await context.send_initial_metadata((("a", "1"), ("b-bin", b"\0")))
        await go_on.wait()
        with pytest.raises(RuntimeError, match="once"):
            await context.send_initial_metadata(())
        return request

    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b"hello"), end=True)
        while not caller.answers[stream_id].head:
            await caller.step()
        assert caller.answers[stream_id].head[b"a"] == b"1"
        assert caller.answers[stream_id].head[b"b-bin"] == b"AA"
        go_on.set()
        assert messages((await caller.answer(stream_id)).data) == [b"hello"]


async def test_metadata_that_cannot_be_sent_is_the_servicers_fault() -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        context.set_trailing_metadata((("grpc-status", "0"),))
        return request

    with capture_logs() as logs:
        assert (await called(servicer)).status == Code.UNKNOWN
    assert "metadata may not be named 'grpc-status'" in str(logs[0]["exc_info"])


@pytest.mark.parametrize(
    ("accepted", "encoding", "flag"),
    [("identity, deflate, gzip", b"gzip", 1), ("identity", None, 0), ("", None, 0)],
)
async def test_a_response_is_compressed_if_the_caller_can_read_it(
    accepted: str, encoding: bytes | None, flag: int
) -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return bytes(10_000)

    answer = await called(servicer, grpc_accept_encoding=accepted)
    assert answer.head.get(b"grpc-encoding") == encoding
    assert answer.data[0] == flag
    assert messages(answer.data) == [bytes(10_000)]


async def test_compression_is_chosen_before_the_first_message() -> None:
    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        context.set_compression(grpc.Compression.Gzip)
        yield b"1"
        with pytest.raises(RuntimeError, match="too late"):
            context.set_compression(grpc.Compression.NoCompression)
        yield b"2"

    async with serving(output_Call=servicer) as (_, address), calling(address) as caller:
        data = (await caller.call("Call", grpc_accept_encoding="gzip")).data
        assert messages(data) == [b"1", b"2"]
        assert data[0] == 1


@pytest.mark.parametrize("method", ["One", "Several"])
async def test_a_response_that_is_too_large_is_not_sent(method: str) -> None:
    async def one(request: bytes, context: ServerCall) -> bytes:
        return bytes(1_001)

    async def several(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        yield bytes(1_001)

    limits = ServerLimits(message_bytes_max=1_000)
    async with serving(limits=limits, unary_One=one, output_Several=several) as (server, address):
        async with calling(address) as caller:
            assert (await caller.call(method)).status == Code.RESOURCE_EXHAUSTED
        assert server.limits_reached == {"message_bytes": 1}


async def test_a_reset_cancels_the_servicer() -> None:
    servicer, began, _, cancelled = waiting()
    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b"hello"), end=True)
        await soon(began.wait())
        caller.http2.reset(stream_id, ErrorCode.CANCEL)
        caller.flush()
        await soon(cancelled.wait())


async def test_a_reset_right_behind_the_request_cancels_the_servicer_as_well() -> None:
    servicer, _, _, cancelled = waiting()
    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.http2.request(head("Call"), framed(b"hello"))
        caller.http2.reset(stream_id, ErrorCode.CANCEL)
        caller.flush()
        await soon(cancelled.wait())


async def test_a_caller_that_is_answered_early_is_told_to_stop_once_it_has_the_answer() -> None:
    async def servicer(requests: AsyncIterator[bytes], context: ServerCall) -> bytes:
        return bytes(100_000)

    limits = Limits(stream_window_bytes=65_535)
    async with serving(input_Call=servicer) as (_, address), calling(address, limits) as caller:
        stream_id = caller.begin("Call")
        received = 0
        while received < 65_535:
            received += (await caller.event(DataReceived)).flow_bytes
        await caller.beat()
        caller.http2.consumed(stream_id, received)
        caller.flush()
        assert (await caller.event(StreamReset)).code == ErrorCode.NO_ERROR
        assert messages(caller.answers[stream_id].data) == [bytes(100_000)]
        assert caller.answers[stream_id].status == Code.OK


async def test_the_end_of_the_connection_cancels_the_servicer() -> None:
    servicer, began, _, cancelled = waiting()
    async with serving(unary_Call=servicer) as (_, address):
        async with calling(address) as caller:
            caller.send(caller.begin("Call"), framed(b"hello"), end=True)
            await soon(began.wait())
        await soon(cancelled.wait())


async def test_a_deadline_ends_the_call_and_cancels_the_servicer() -> None:
    servicer, _, _, cancelled = waiting()
    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        answer = await caller.call("Call", grpc_timeout="20m")
        assert answer.status == Code.DEADLINE_EXCEEDED
        await soon(cancelled.wait())


async def test_a_deadline_resets_a_stream_whose_caller_does_not_read() -> None:
    calls: list[ServerCall] = []

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        calls.append(context)
        while True:
            yield bytes(100_000)

    limits = Limits(stream_window_bytes=65_535)
    async with serving(output_Call=servicer) as (_, address), calling(address, limits) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b""), end=True)
        received = 0
        while received < 65_535:
            received += (await caller.event(DataReceived)).flow_bytes
        calls[0].expire()  # as its timer would: trailers could not be sent
        assert (await caller.answer(stream_id)).reset == ErrorCode.CANCEL


async def test_done_callbacks_are_called_with_the_context() -> None:
    seen: list[object] = []

    async def servicer(request: bytes, context: ServerCall) -> bytes:
        context.add_done_callback(lambda call: seen.append((call is context, call.done())))
        return request

    await called(servicer)
    assert seen == [(True, True)]


async def test_a_servicer_knows_who_calls() -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        return context.peer().encode()

    assert bytes(messages((await called(servicer)).data)[0]).startswith(b"ipv4:127.0.0.1:")


async def test_a_writer_waits_for_a_caller_who_does_not_read() -> None:
    written = 0

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        nonlocal written
        while True:
            yield bytes(10_000)
            written += 10_000

    limits = Limits(stream_window_bytes=65_535, connection_window_bytes=65_535)
    async with serving(output_Call=servicer) as (_, address), calling(address, limits) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b""), end=True)
        received = 0
        while received < 65_535:
            received += (await caller.event(DataReceived)).flow_bytes
        await caller.beat()
        assert written < 80_000
        caller.http2.consumed(stream_id, received)
        caller.flush()
        assert (await caller.event(DataReceived)).flow_bytes > 0


async def test_a_caller_waits_for_a_servicer_that_does_not_read() -> None:
    go_on = asyncio.Event()
    read: list[int] = []

    async def servicer(requests: AsyncIterator[bytes], context: ServerCall) -> bytes:
        await go_on.wait()
        read.extend([len(request) async for request in requests])
        return b""

    size = 2 * Limits().stream_window_bytes
    async with serving(input_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        await caller.beat()  # the server's window is known by now
        caller.send(stream_id, framed(bytes(10_000)) * (size // 10_005), end=True)
        await caller.beat()
        assert caller.http2.waiting_bytes(stream_id) > 0
        assert read == []
        go_on.set()
        assert (await caller.answer(stream_id)).status == Code.OK
        assert len(read) == size // 10_005


async def test_a_message_may_be_larger_than_the_windows() -> None:
    size = 500_000
    http2 = Limits(stream_window_bytes=65_535, connection_window_bytes=65_535)
    limits = ServerLimits(http2=http2)
    async with (
        serving(limits=limits, unary_Echo=echo) as (_, address),
        calling(address, http2) as caller,
    ):
        stream_id = caller.begin("Echo")
        caller.send(stream_id, framed(bytes(size)), end=True)
        received = 0
        while received < size + 5:
            event = await caller.event(DataReceived)
            received += len(event.data)
            caller.http2.consumed(stream_id, event.flow_bytes)
            caller.flush()
        assert (await caller.answer(stream_id)).status == Code.OK


async def test_a_servicer_may_write_without_end_and_others_have_their_turn() -> None:
    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        while True:
            yield b""

    async with (
        serving(output_Call=servicer, unary_Echo=echo) as (_, address),
        calling(address) as flooded,
        calling(address) as other,
    ):
        flooded.send(flooded.begin("Call"), framed(b""), end=True)
        assert (await other.call("Echo", b"hello")).status == Code.OK


async def test_a_write_behind_the_end_is_an_error() -> None:
    async def servicer(request: bytes, context: ServerCall) -> None:
        context.finish()
        with pytest.raises(asyncio.InvalidStateError):
            await context.write(b"late")

    async with serving(output_Call=servicer) as (_, address), calling(address) as caller:
        assert (await caller.call("Call")).data == b""


async def test_a_generator_is_closed_when_its_caller_leaves() -> None:
    closed, first = asyncio.Event(), asyncio.Event()

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
                first.set()
        finally:
            closed.set()

    async with serving(output_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b""), end=True)
        await caller.event(DataReceived)
        caller.http2.reset(stream_id, ErrorCode.CANCEL)
        caller.flush()
        await soon(closed.wait())


async def test_a_servicer_that_ends_early_stops_its_caller() -> None:
    async def servicer(requests: AsyncIterator[bytes], context: ServerCall) -> bytes:
        return b"enough"

    async with serving(input_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b"1"))
        answer = await caller.answer(stream_id)
        assert (answer.status, messages(answer.data)) == (Code.OK, [b"enough"])
        assert (await caller.event(StreamReset)).code == ErrorCode.NO_ERROR


LARGE = memoryview(bytes(range(256)) * 2_000).toreadonly()


@pytest.mark.parametrize(
    "parts",
    [(b"", b"small"), [memoryview(b"sm"), b"all"], (b"head", LARGE), (LARGE, b"tail"), LARGE],
)
@pytest.mark.parametrize("extra", ["nothing", "metadata", "gzip"])
async def test_an_answer_may_come_in_parts(parts: Any, extra: str) -> None:
    @takes_views
    async def servicer(request: bytes, context: ServerCall) -> Any:
        if extra == "metadata":
            await context.send_initial_metadata((("x", "y"),))
        if extra == "gzip":
            context.set_compression(grpc.Compression.Gzip)
        return parts

    fields = ((b"grpc-accept-encoding", b"gzip"),) if extra == "gzip" else ()
    answer = await called(servicer, *fields)
    whole = b"".join((parts,) if parts is LARGE else parts)
    assert [bytes(message) for message in messages(answer.data)] == [whole]
    assert answer.status == Code.OK


async def test_parts_that_are_too_much_together_are_refused() -> None:
    @takes_views
    async def servicer(request: bytes, context: ServerCall) -> Any:
        return LARGE, LARGE

    limits = ServerLimits(message_bytes_max=2 * len(LARGE) - 1)
    async with serving(limits=limits, unary_Call=servicer) as (server, address):
        async with calling(address) as caller:
            assert (await caller.call("Call", b"hello")).status == Code.RESOURCE_EXHAUSTED
        assert server.limits_reached == {"message_bytes": 1}


async def test_a_large_part_is_not_copied_while_it_waits() -> None:
    large = bytes(LARGE)
    waiting = asyncio.Event()

    @takes_views
    async def servicer(request: bytes, context: ServerCall) -> Any:
        asyncio.get_running_loop().call_soon(waiting.set)
        return b"head", large

    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        caller.writer.write(b"\0\0\x06\4\0\0\0\0\0" + b"\0\4\0\0\0\0")  # windows of nothing
        before = sys.getrefcount(large)
        caller.request("Call", framed(b""))
        await soon(waiting.wait())
        assert sys.getrefcount(large) > before, "it waits as it is"


async def test_a_deadline_that_passes_while_our_socket_is_behind_is_told_as_one() -> None:
    """Data that waits for a write of ours alone is no reason to reset the stream."""

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        yield bytes(4 * ROOM_BYTES)

    server = Server(chance=lambda: 0.5)
    server.add_registered_method_handlers(
        SERVICE, {"Call": grpc.unary_stream_rpc_method_handler(servicer)}
    )
    transport, connection = Writes(), server.connected()
    connection.connection_made(transport)
    wide = Limits(stream_window_bytes=2**24, connection_window_bytes=2**24)
    caller = Connection(client=True, limits=wide)
    caller.request((*head("Call"), (b"grpc-timeout", b"1S")), framed(b""))
    connection.data_received(caller.take_output())
    events: list[object] = []
    while not any(isinstance(event, DataReceived) for event in events):
        await asyncio.sleep(0)
        events += [event for data in transport.kept for event in caller.receive(data, 0.0)]
        transport.kept.clear()
    (call,) = connection._calls._open.values()
    call.expire()
    for _ in range(20):
        await asyncio.sleep(0)
    events += [event for data in transport.kept for event in caller.receive(data, 0.0)]
    ended = events[-1]
    assert isinstance(ended, TrailersReceived)
    assert dict(ended.headers)[b"grpc-status"] == b"4"
    connection.connection_lost(None)


class Writes(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.kept.append(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """Nobody is told."""


@pytest.mark.parametrize("waits", [False, True])
async def test_all_answers_of_one_turn_leave_in_one_write(waits: bool) -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        if waits:
            await asyncio.sleep(0)
        return request

    server = Server(chance=lambda: 0.5, clock=lambda: 0.0)
    server.add_registered_method_handlers(
        SERVICE, {"Call": grpc.unary_unary_rpc_method_handler(servicer)}
    )
    transport, connection = Writes(), server.connected()
    connection.connection_made(transport)
    caller = Connection(client=True)
    caller.receive(b"".join(transport.kept), 0.0)
    transport.kept.clear()
    for _ in range(64):
        caller.request(head("Call"), framed(b"hello"))
    connection.data_received(caller.take_output())
    for _ in range(4):
        await asyncio.sleep(0)
    kept = [data for data in transport.kept if data]
    events = [event for data in kept for event in caller.receive(data, 0.0)]
    assert sum(isinstance(event, TrailersReceived) for event in events) == 64
    # The settings are acknowledged at once, whether the servicers wait or not.
    assert len(kept) == (2 if waits else 1)
    connection.connection_lost(None)
