"""A service like the one of the gRPC interop tests; its messages are a few words each.

A request's first word is the size of the response that it wants; what follows is padding.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

SERVICE = "contract.Test"
ECHO_INITIAL, ECHO_TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"

Context = grpc.aio.ServicerContext[Any, Any]


def order(size: int, padding: int = 0) -> bytes:
    return b"%d " % size + bytes(padding)


def ordered(request: bytes) -> bytes:
    return bytes(int(request.split(b" ", 1)[0]))


class Secret(Exception):
    """Not for callers."""


class TestService:
    """Remembers what became of the calls that wait."""

    __test__ = False

    def __init__(self) -> None:
        self.waiting = asyncio.Event()  # a call waits
        self.cancelled = asyncio.Event()  # one that waited was cancelled
        self.done = asyncio.Event()  # a callback was called

    def handlers(self) -> grpc.GenericRpcHandler:
        unary = grpc.unary_unary_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Empty": unary(self.empty),
                "Unary": unary(self.unary),
                "Metadata": unary(self.metadata),
                "Status": unary(self.status),
                "Abort": unary(self.abort),
                "Fail": unary(self.fail),
                "FailLate": unary(self.fail_late),
                "Wait": unary(self.wait),
                "Remaining": unary(self.remaining),
                "Compressed": unary(self.compressed),
                "Input": grpc.stream_unary_rpc_method_handler(self.input),
                "Output": grpc.unary_stream_rpc_method_handler(self.output),
                "OutputByWriting": grpc.unary_stream_rpc_method_handler(self.output_by_writing),
                "OutputThenFail": grpc.unary_stream_rpc_method_handler(self.output_then_fail),
                "Duplex": grpc.stream_stream_rpc_method_handler(self.duplex),
                "DuplexByReading": grpc.stream_stream_rpc_method_handler(self.duplex_by_reading),
                "DuplexStatus": grpc.stream_stream_rpc_method_handler(self.duplex_status),
            },
        )

    async def empty(self, request: bytes, context: Context) -> bytes:
        return b""

    async def unary(self, request: bytes, context: Context) -> bytes:
        await self._echo(context)
        return ordered(request)

    async def metadata(self, request: bytes, context: Context) -> bytes:
        """What the servicer sees of it."""
        return repr(sorted(tuple(pair) for pair in context.invocation_metadata() or ())).encode()

    async def status(self, request: bytes, context: Context) -> bytes:
        _set_status(request, context)
        return b"not sent"

    async def abort(self, request: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.ABORTED, "no", (("why", "so"), ("why-bin", b"\0")))

    async def fail(self, request: bytes, context: Context) -> bytes:
        raise Secret("secret")

    async def fail_late(self, request: bytes, context: Context) -> bytes:
        await asyncio.sleep(0)
        raise Secret("secret")

    async def wait(self, request: bytes, context: Context) -> bytes:
        await self._wait(context)
        return b""

    async def remaining(self, request: bytes, context: Context) -> bytes:
        return repr(context.time_remaining()).encode()

    async def compressed(self, request: bytes, context: Context) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return ordered(request)

    async def input(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        total = 0
        async for request in requests:
            total += len(request)
        return b"%d" % total

    async def output(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        for size in request.split():
            yield bytes(int(size))

    async def output_by_writing(self, request: bytes, context: Context) -> None:
        for size in request.split():
            await context.write(bytes(int(size)))

    async def output_then_fail(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield b"first"
        raise Secret("secret")

    async def duplex(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        self._tell_when_done(context)
        await self._echo(context)
        try:
            async for request in requests:
                yield ordered(request)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def duplex_by_reading(self, requests: object, context: Context) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(ordered(request))

    async def duplex_status(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            _set_status(request, context)
            return
        yield b""

    def _tell_when_done(self, context: Any) -> None:
        context.add_done_callback(lambda _: self.done.set())

    async def _wait(self, context: Context) -> None:
        self._tell_when_done(context)
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _echo(self, context: Context) -> None:
        for key, value in context.invocation_metadata() or ():
            if key == ECHO_INITIAL:
                await context.send_initial_metadata(((key, value),))
            elif key == ECHO_TRAILING:
                context.set_trailing_metadata(((key, value),))


def _set_status(request: bytes, context: Context) -> None:
    """To "2 the message"."""
    number, _, message = request.decode().partition(" ")
    context.set_code(next(code for code in grpc.StatusCode if code.value[0] == int(number)))
    context.set_details(message)
