"""A model server as the Open Inference Protocol has it, which keeps what it was sent as bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from server.transport.serving.server import Server
from server.wire import oip_pb2

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[bytes, Context], Awaitable[bytes]]


async def echo(request: bytes, context: Context) -> bytes:
    """Answers with the name, version and id that it was called with."""
    asked = oip_pb2.ModelInferRequest.FromString(request)
    return oip_pb2.ModelInferResponse(
        model_name=asked.model_name, model_version=asked.model_version, id=asked.id
    ).SerializeToString()


def refusing(code: grpc.StatusCode, details: str = "no") -> Behaviour:
    async def refuse(request: bytes, context: Context) -> bytes:
        await context.abort(code, details)

    return refuse


@dataclass(slots=True)
class FakeEndpoint:
    """Behaves as `behaviour` says, which a test may change."""

    behaviour: Behaviour = echo
    readiness: Behaviour | None = None  # of ModelReady, if it has that
    health: HealthServicer | None = None  # of one that is served by grpcio, if it has that
    address: str = ""
    requests: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    time_left_s: list[float | None] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def infer(self, request: bytes, context: Context) -> bytes:
        self.requests.append(request)
        self.metadata.append({key: value for key, value in context.invocation_metadata() or ()})
        self.time_left_s.append(context.time_remaining())
        self.reached.set()
        try:
            return await self.behaviour(request, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def held(self, request: bytes, context: Context) -> bytes:
        """A behaviour: answers once `go_on` is set."""
        await self.go_on.wait()
        return await echo(request, context)

    @property
    def asked(self) -> list[oip_pb2.ModelInferRequest]:
        return [oip_pb2.ModelInferRequest.FromString(request) for request in self.requests]


def _handlers(endpoint: FakeEndpoint) -> tuple[grpc.GenericRpcHandler]:
    methods: dict[str, Behaviour] = {"ModelInfer": endpoint.infer}
    if endpoint.readiness is not None:
        methods["ModelReady"] = endpoint.readiness
    oip: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()
    }
    return (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", oip),)


def says_ready(ready: bool) -> Behaviour:
    async def answer(request: bytes, context: Context) -> bytes:
        return oip_pb2.ModelReadyResponse(ready=ready).SerializeToString()

    return answer


@asynccontextmanager
async def serving_ourselves(endpoint: FakeEndpoint) -> AsyncIterator[None]:
    """Serves it by our own transport, on a free port."""
    server = Server(chance=lambda: 0.5)
    server.add_generic_rpc_handlers(_handlers(endpoint))
    endpoint.address = await server.listen("127.0.0.1:0")
    try:
        yield
    finally:
        await server.stop(0)


@asynccontextmanager
async def serving(
    endpoint: FakeEndpoint,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[None]:
    """Serves it by grpcio, on a free port unless told otherwise."""
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    )
    server.add_generic_rpc_handlers(_handlers(endpoint))
    if endpoint.health is not None:
        health_pb2_grpc.add_HealthServicer_to_server(endpoint.health, server)
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    endpoint.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


@asynccontextmanager
async def relaying(behind: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """An address that leads to `behind`, and an event: a connection through it has ended."""
    ended = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = behind.split(":")
        behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(_copy(behind_reader, writer))
        await _copy(reader, behind_writer)
        ended.set()
        await back

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}", ended


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
