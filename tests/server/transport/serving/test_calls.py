"""Calls as their servicers see them: when they run, how they answer and fail."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import grpc
import pytest
from grpc.aio import AbortError
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.serving.call import ServerCall
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.by_messages import called, messages
from tests.server.transport.serving.raw_caller import (
    calling,
    serving,
)

variable = ContextVar("variable", default="outside")


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
