"""Unary servicers that ask for a task: it runs them from the start, in their connection's turn."""

import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.grpc.messages import framed, framed_gzip, only_message
from server.transport.grpc.methods import in_task
from server.transport.http2.errors import ErrorCode
from server.transport.serving.call import ServerCall
from tests.server.transport.serving.raw_caller import (
    Answer,
    Servicer,
    calling,
    head,
    serving,
    soon,
    waiting,
)


async def called(servicer: Servicer, request: bytes = framed(b"hello"), **changed: str) -> Answer:
    async with (
        serving(unary_Call=in_task(servicer)) as (_, address),
        calling(address) as caller,
    ):
        return await caller.answer(caller.request("Call", request, **changed))


async def test_the_same_task_runs_it_before_and_after_a_wait() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        return repr(before is not None and before is asyncio.current_task()).encode()

    assert only_message((await called(servicer)).data) == b"True"


async def test_a_timeout_that_begins_before_the_first_wait_ends_it() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return b"over"
        return b""

    assert only_message((await called(servicer)).data) == b"over"


async def test_a_timeout_of_no_time_ends_the_first_wait() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        try:
            async with asyncio.timeout(-1):
                await asyncio.Event().wait()
        except TimeoutError:
            return b"over"
        return b""

    assert only_message((await called(servicer)).data) == b"over"


async def test_a_task_group_that_begins_before_the_first_wait_works() -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        async with asyncio.TaskGroup() as group:
            halves = [group.create_task(asyncio.sleep(0, part)) for part in (b"a", b"b")]
        return b"".join(half.result() for half in halves)

    assert only_message((await called(servicer)).data) == b"ab"


async def test_one_that_ends_without_a_wait_is_answered_and_leaves_a_task_that_ends() -> None:
    tasks: list[asyncio.Task[object] | None] = []

    async def servicer(request: bytes, context: object) -> bytes:
        tasks.append(asyncio.current_task())
        return request

    with capture_logs() as logs:
        answer = await called(servicer)
    assert (only_message(answer.data), answer.status, logs) == (b"hello", Code.OK, [])
    assert tasks[0] is not None
    assert tasks[0].done()
    assert asyncio.current_task() is not tasks[0]


@pytest.mark.parametrize("late", [False, True])
async def test_one_that_raises_is_logged_once_and_tells_nothing(late: bool) -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        if late:
            await asyncio.sleep(0)
        raise KeyError("secret")

    with capture_logs() as logs:
        answer = await called(servicer)
    assert (answer.status, answer.message) == (Code.UNKNOWN, "the servicer failed")
    assert [log["event"] for log in logs] == ["servicer failed"]


async def test_a_reset_right_behind_the_request_cancels_it_where_it_waits() -> None:
    servicer, began, _, cancelled = waiting()
    async with (
        serving(unary_Call=in_task(servicer)) as (_, address),
        calling(address) as caller,
    ):
        stream_id = caller.http2.request(head("Call"), framed(b"hello"))
        caller.http2.reset(stream_id, ErrorCode.CANCEL)
        caller.flush()
        await soon(cancelled.wait())
        assert began.is_set()


async def test_one_whose_request_was_inflated_by_a_task_has_a_task_of_its_own() -> None:
    text = bytes(range(256)) * 4_096

    async def servicer(request: bytes, context: ServerCall) -> bytes:
        own = asyncio.current_task()
        assert own is context.task
        await asyncio.sleep(0)
        return repr(request == text and own is asyncio.current_task()).encode()

    answer = await called(servicer, framed_gzip(text), grpc_encoding="gzip")
    assert only_message(answer.data) == b"True"


async def test_nothing_of_a_cancelled_one_is_left_for_the_collector() -> None:
    servicer, began, _, cancelled = waiting()
    async with (
        serving(unary_Call=in_task(servicer)) as (_, address),
        calling(address) as caller,
    ):
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            stream_id = caller.http2.request(head("Call"), framed(b"hello"))
            caller.http2.reset(stream_id, ErrorCode.CANCEL)
            caller.flush()
            await soon(cancelled.wait())
            await asyncio.sleep(0)
            gc.collect()
            assert not [one for one in gc.garbage if isinstance(one, ServerCall)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert began.is_set()
