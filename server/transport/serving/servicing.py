"""Runs servicers. A unary one runs at once, and becomes a task only if it has to wait."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextlib import aclosing
from contextvars import Context, copy_context
from typing import Any, TypeAlias

import structlog
from grpc.aio import EOF, AbortError

from server.status_code import Code
from server.transport.grpc.status import CallRefused
from server.transport.serving.call import Message, ServerCall

_Rest: TypeAlias = Coroutine[Any, Any, None]
_log = structlog.get_logger()


class Requests:
    """The messages of a request, for a servicer that iterates over them."""

    def __init__(self, call: ServerCall) -> None:
        self._call = call

    def __aiter__(self) -> "Requests":
        return self

    async def __anext__(self) -> Message:
        message = await self._call.read()
        if message is EOF:
            raise StopAsyncIteration
        return message


def answer(call: ServerCall, data: bytes | memoryview) -> None:
    """Runs a unary servicer up to its first real wait, or to its end.

    Up to there it has no task of its own, unless it asks for one: a task costs more than most
    answers.
    """
    if call.method.in_task:
        _answer_in_task(call, data)
        return
    variables = copy_context()
    try:
        coroutine = call.method.servicer(call.method.parse(data), call)
        awaited = variables.run(coroutine.send, None)
    except StopIteration as end:
        _give(call, end.value)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - where every error ends
        fail(call, error)
    else:
        call.work(_begun(_finish(call, coroutine, [awaited])), variables)


def _answer_in_task(call: ServerCall, data: bytes | memoryview) -> None:
    """The same, but the task is there from the start.

    Its first step is run here and now, for it belongs to the turn of the call's connection.
    """
    variables = copy_context()
    first: list[Any] = []
    try:
        coroutine = call.method.servicer(call.method.parse(data), call)
        task = call.work(_begun(_finish(call, coroutine, first)), variables)
        first.append(_first_step(task, coroutine, variables))
    except StopIteration as end:
        _give(call, end.value)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - where every error ends
        fail(call, error)


def _first_step(
    task: asyncio.Task[None], coroutine: Coroutine[Any, Any, Message], variables: Context
) -> Any:
    """Runs it as if the task did, as asyncio lets those do that step tasks themselves."""
    loop = task.get_loop()
    outer = asyncio.current_task(loop)
    if outer is not None:  # that inflated the request
        asyncio._leave_task(loop, outer)
    asyncio._enter_task(loop, task)
    try:
        return variables.run(coroutine.send, None)
    finally:
        asyncio._leave_task(loop, task)
        if outer is not None:
            asyncio._enter_task(loop, outer)


def start(call: ServerCall, data: bytes | memoryview | None) -> None:
    """Runs a servicer that takes or gives a stream, as a task; without data it takes one."""
    call.work(_run(call, data))


async def _run(call: ServerCall, data: bytes | memoryview | None) -> None:
    method = call.method
    try:
        request = Requests(call) if data is None else call.method.parse(data)
        response = method.servicer(request, call)
        if not method.gives_stream:
            call.answer(await response)
            return
        if hasattr(response, "__aiter__"):
            async with aclosing(response):
                async for message in response:
                    await call.write(message)
        else:  # it writes by itself
            await response
        call.finish()
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - where every error ends
        fail(call, error)


async def _finish(
    call: ServerCall, coroutine: Coroutine[Any, Any, Message], first: list[Any]
) -> None:
    try:
        message = await _resumed(coroutine, first)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - where every error ends
        fail(call, error)
    else:
        _give(call, message)


def _begun(rest: _Rest) -> _Rest:
    """What a task is to run, brought up to the servicer: cancelled now, it would not even begin."""
    rest.send(None)
    return rest


@types.coroutine
def _resumed(
    coroutine: Coroutine[Any, Any, Message], first: list[Any]
) -> Generator[Any, None, Message]:
    """Goes on with a coroutine that waits for what `first` has by then; empty: it has ended.

    The first time it yields to whoever makes the task, and from then on to the task.
    """
    thrown: BaseException | None = None
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - a task throws what it was told to
        thrown = error
    if not first:
        return None
    awaited = first.pop()
    try:
        if thrown is not None:
            awaited = coroutine.throw(thrown)
        while True:
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - as above
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        del thrown  # or with its traceback, which has this frame, it would be a cycle


def _give(call: ServerCall, message: Message) -> None:
    try:
        call.answer(message)
    except Exception as error:  # noqa: BLE001 - a serializer may raise anything
        fail(call, error)


def fail(call: ServerCall, error: BaseException) -> None:
    """Says how a call ended whose servicer, parser or serializer raised."""
    if isinstance(error, CallRefused):
        call.refuse(error)
    elif isinstance(error, asyncio.CancelledError):
        call.end(Code.CANCELLED, "the call was cancelled")
    else:
        if not isinstance(error, AbortError):
            _log.error("servicer failed", method=call.method.path, exc_info=error)
        call.fail()
