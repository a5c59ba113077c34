"""Calls that end before their servicers do."""

from collections.abc import AsyncIterator

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import DataReceived, StreamReset
from server.transport.http2.limits import Limits
from server.transport.serving.call import ServerCall
from tests.server.transport.serving.by_messages import called, messages
from tests.server.transport.serving.raw_caller import (
    calling,
    head,
    serving,
    soon,
    waiting,
)


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
        caller.http2.give_back(stream_id, received)
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
