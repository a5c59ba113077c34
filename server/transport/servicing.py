"""Runs servicers. A unary one runs at once, and becomes a task only if it has to wait."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextlib import aclosing
from contextvars import copy_context
from typing import Any

import structlog
from grpc.aio import EOF, AbortError

from server.status_code import Code
from server.transport.server_call import Message, ServerCall
from server.transport.status import CallRefused

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

    Up to there it has no task of its own: a task costs more than most answers.
    """
    variables = copy_context()
    try:
        coroutine = call.method.servicer(call.parsed(data), call)
        awaited = variables.run(coroutine.send, None)
    except StopIteration as end:
        _give(call, end.value)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - where every error ends
        fail(call, error)
    else:
        rest = _finish(call, coroutine, awaited)
        rest.send(None)  # up to the servicer: cancelled now, a task would not even begin it
        call.work(rest, variables)


def start(call: ServerCall, data: bytes | memoryview | None) -> None:
    """Runs a servicer that takes or gives a stream, as a task; without data it takes one."""
    call.work(_run(call, data))


async def _run(call: ServerCall, data: bytes | memoryview | None) -> None:
    method = call.method
    try:
        request = Requests(call) if data is None else call.parsed(data)
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


async def _finish(call: ServerCall, coroutine: Coroutine[Any, Any, Message], awaited: Any) -> None:
    try:
        message = await _resumed(coroutine, awaited)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - where every error ends
        fail(call, error)
    else:
        _give(call, message)


@types.coroutine
def _resumed(
    coroutine: Coroutine[Any, Any, Message], awaited: Any
) -> Generator[Any, None, Message]:
    """Goes on with a coroutine that waits for `awaited`.

    The first time it yields to whoever makes the task, and from then on to the task.
    """
    has_task = False
    try:
        while True:
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - a task throws what it was told to
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(None) if has_task else awaited
            has_task = True
    except StopIteration as end:
        message: Message = end.value
        return message


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
