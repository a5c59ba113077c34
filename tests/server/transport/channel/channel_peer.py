"""A server of grpcio that behaves as the interop tests of gRPC want it, in plain bytes.

A request is what its answer shall be: sizes in decimal, an optional body after a colon.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

Context = grpc.aio.ServicerContext[Any, Any]

SERVICE = "turnout.testing.Interop"
INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"


def sized(size: int) -> bytes:
    return bytes(size)


def asking(*sizes: int, body: int = 0) -> bytes:
    """A request of at least `body` bytes for answers of these sizes."""
    return ",".join(map(str, sizes)).encode() + b":" + bytes(body)


def _sizes(request: bytes) -> list[int]:
    return [int(size) for size in request.partition(b":")[0].split(b",") if size]


@dataclass(slots=True)
class Interop:
    """The methods, and what became of them."""

    calls: int = 0
    time_left_s: list[float | None] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # a method that takes a stream
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def echo(self, request: bytes, context: Context) -> bytes:
        await self._mirror(context)
        self.calls += 1
        return request

    async def unary(self, request: bytes, context: Context) -> bytes:
        await self._mirror(context)
        return sized(_sizes(request)[0])

    async def output(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        for size in _sizes(request):
            yield sized(size)

    async def input(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        self.reached.set()
        total = 0
        try:
            async for request in requests:
                total += len(request)
        finally:  # grpcio ends the requests of a cancelled call, or raises
            self.ended.set()
        return str(total).encode()

    async def duplex(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        await self._mirror(context)
        try:
            async for request in requests:
                for size in _sizes(request):
                    yield sized(size)
        finally:
            self.ended.set()

    async def status(self, request: bytes, context: Context) -> bytes:
        """Ends with the code before the colon and the words after it."""
        code, _, words = request.decode().partition(":")
        await context.abort(_code(int(code)), words, ((TRAILING, b"\0\xff"),))

    async def duplex_status(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            await self.status(request, context)
            yield b""

    async def compressed(self, request: bytes, context: Context) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return sized(_sizes(request)[0])

    async def compressed_output(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        context.set_compression(grpc.Compression.Gzip)
        for size in _sizes(request):
            yield sized(size)

    async def held(self, request: bytes, context: Context) -> bytes:
        """Answers once `go_on` is set."""
        self.time_left_s.append(context.time_remaining())
        self.calls += 1
        self.reached.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request

    async def _mirror(self, context: Context) -> None:
        """Sends back the metadata that is meant for it."""
        for key, value in context.invocation_metadata() or ():
            if key == INITIAL:
                await context.send_initial_metadata(((key, value),))
            if key == TRAILING:
                context.set_trailing_metadata(((key, value),))


def _code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def _handler(interop: Interop) -> grpc.GenericRpcHandler:
    unary, output = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    duplex = grpc.stream_stream_rpc_method_handler
    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": unary(interop.echo),
        "Unary": unary(interop.unary),
        "Status": unary(interop.status),
        "Compressed": unary(interop.compressed),
        "Held": unary(interop.held),
        "Output": output(interop.output),
        "CompressedOutput": output(interop.compressed_output),
        "Input": grpc.stream_unary_rpc_method_handler(interop.input),
        "Duplex": duplex(interop.duplex),
        "DuplexStatus": duplex(interop.duplex_status),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


@asynccontextmanager
async def serving(
    interop: Interop,
    address: str = "127.0.0.1:0",
    *,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[str]:
    """Serves it; gives the address."""
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    )
    server.add_generic_rpc_handlers((_handler(interop),))
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield address.removesuffix(":0") + f":{port}" if address.endswith(":0") else address
    finally:
        await server.stop(None)
