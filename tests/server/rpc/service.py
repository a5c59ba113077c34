"""The data plane as a worker composes it, before real endpoints, with a plan of its own."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from server.app.chat_queue import ChatQueue
from server.app.large_chats import LargeChats
from server.app.reader_process import ReaderProcess
from server.config.classes import ClassConfig, DomainConfig
from server.config.match import MatchConfig
from server.config.models import HealthConfig, PriceConfig
from server.config.schema import Config
from server.dispatch.dispatcher import Dispatcher
from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import ModelShares, Selector, WeightTable
from server.rpc.errors import ErrorAnswering
from server.rpc.health import HealthServicer
from server.rpc.method_limits import PAYLOAD_BYTES_MAX
from server.rpc.oip import OipServicer
from server.rpc.routing import RoutingServicer
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from server.upstream.upstreams import Upstreams
from server.wire import oip_pb2_grpc
from tests.server.routing.configs import config, model
from tests.server.rpc.words import Words
from tests.server.upstream.endpoint import FakeEndpoint, serving
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

KEY = bytes(KEY_BYTES)
NOW_S = 1_700_000_000.0
VERSION = "1.2.3"
# What is larger than a request may be has to arrive to be refused by us.
_WIRE_BYTES_MAX = PAYLOAD_BYTES_MAX + 2**20
CELL = Cell("chat", "-", "other", "s0", PayloadKind.TENSORS)


@dataclass(slots=True)
class Refusal:
    """An error as a caller reads it."""

    code: grpc.StatusCode
    reason: str
    domain: str
    message: str
    fields: list[str]
    retry_s: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ledger:
    """Stands for the control plane: keeps the outcomes that it is told."""

    told: list[pb.Outcome] = field(default_factory=list)
    counts: bool = False  # or it has a reason against each
    failure: Exception | None = None

    async def settle(self, outcomes: Sequence[pb.Outcome]) -> Sequence[pb.OutcomeResult]:
        if self.failure is not None:
            raise self.failure
        self.told.extend(outcomes)
        return [
            pb.OutcomeResult(reason="" if self.counts else f"R{i}") for i, _ in enumerate(outcomes)
        ]


@dataclass(slots=True)
class Service:
    """Everything is small's but what small cannot do; large comes next."""

    small: FakeEndpoint
    large: FakeEndpoint
    router: Router
    counters: Counters
    ledger: Ledger
    health: HealthServicer
    channel: grpc.aio.Channel
    chat_reader: ReaderProcess
    address: str

    @property
    def routing(self) -> "routing_pb2_grpc.RoutingServiceAsyncStub":
        return routing_pb2_grpc.RoutingServiceStub(self.channel)

    @property
    def oip(self) -> "oip_pb2_grpc.GRPCInferenceServiceAsyncStub":
        return oip_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    async def raw(self, method: str, request: bytes) -> bytes:
        """Calls with these very bytes, whether they are a message or not."""
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        call = self.channel.unary_unary(method)
        return await call(request, timeout=20)

    def refusals(self) -> dict[str, int]:
        return dict(self.counters.refusals())

    def endpoints_asked(self) -> int:
        return len(self.small.requests) + len(self.large.requests)


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """Everything that an error says, by the library that callers use."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    assert status is not None, f"no details: {error.code()} {error.details()}"
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, retry_s = error_details_pb2.RetryInfo(), None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_s = retry.retry_delay.ToMilliseconds() / 1_000
        assert detail.Unpack(info) or detail.Unpack(violations) or detail.Is(retry.DESCRIPTOR)
    return Refusal(
        code=error.code(),
        reason=info.reason,
        domain=info.domain,
        message=status.message,
        fields=[violation.field for violation in violations.field_violations],
        retry_s=retry_s,
        metadata=dict(info.metadata),
    )


def service_config(*endpoints: FakeEndpoint, text_at: str = "text:1") -> Config:
    small, large = endpoints
    return config(
        model("small", endpoints=(small.address,), price=PriceConfig(request_usd=0.001)),
        model("large", endpoints=(large.address,), price=PriceConfig(request_usd=0.01)),
        model("text", protocol="openai", endpoints=(text_at,), capabilities=("tools",)),
        classes=(
            ClassConfig(name="chat", default=True),
            ClassConfig(
                name="audited",
                match=MatchConfig(labels={"app": ("audit",)}),
                grades="caller",
                audit_rate=1,
            ),
            ClassConfig(name="meta", match=MatchConfig(metadata={"x-team": ("blue",)})),
            ClassConfig(name="acme", match=MatchConfig(tenant=("acme",), user=("ada",))),
        ),
        domains=(DomainConfig(name="law"),),
        health=HealthConfig(consecutive_failures_max=1),
    )


def shares_of(*shares: float) -> ModelShares:
    return tuple((model, share, 1_000) for model, share in enumerate(shares) if share)


@asynccontextmanager
async def running(
    *,
    configured: bool = True,
    transport: str = "grpcio",
    words: Words | None = None,
    text_at: str = "text:1",
    now_s: Callable[[], float] = lambda: NOW_S,
) -> AsyncIterator[Service]:
    """The service on a real port, with a channel to it."""
    small, large, ledger = FakeEndpoint(), FakeEndpoint(), Ledger()
    counters, health = Counters(), HealthServicer()
    upstreams = Upstreams({}, now_s=asyncio.get_running_loop().time)
    chance = random.Random(1).random
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=chance)
    exchanges = upstreams.exchanges if words is None else words.beside(upstreams.exchanges)
    dispatcher = Dispatcher(router, exchanges, counters, now_s=now_s, chance=chance)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(small))
        await stack.enter_async_context(serving(large))
        stack.push_async_callback(upstreams.close)
        if configured:
            router.configure(service_config(small, large, text_at=words.url if words else text_at))
            health.publish(router.readiness(NOW_S))
            router.publish(WeightTable("p1", {CELL: shares_of(1.0)}))
            await upstreams.track(router.models())
        chat_reader = ReaderProcess()
        large_chats = LargeChats(chat_reader, ChatQueue())
        stack.push_async_callback(large_chats.close)
        server = _on_turnout() if transport == "turnout" else _on_grpcio()
        answering = ErrorAnswering(
            cast("grpc.aio.Server", server), counters.count_refusal, chance=lambda: 0.0
        )
        answering.add(
            routing_pb2_grpc.add_RoutingServiceServicer_to_server,
            RoutingServicer(
                router,
                dispatcher,
                ledger.settle,
                large_chats.read,
                counters.count_refusal,
                now_s=now_s,
                chance=chance,
            ),
        )
        answering.add(
            oip_pb2_grpc.add_GRPCInferenceServiceServicer_to_server,
            OipServicer(router, dispatcher, lambda: health.ready, now_s=now_s, version=VERSION),
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, cast("grpc.aio.Server", server))
        address = await _started(server)
        stack.push_async_callback(server.stop, 0)
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options))
        yield Service(small, large, router, counters, ledger, health, channel, chat_reader, address)


def _on_turnout() -> Server:
    return Server(ServerLimits(message_bytes_max=_WIRE_BYTES_MAX), chance=lambda: 0.5)


def _on_grpcio() -> grpc.aio.Server:
    return grpc.aio.server(options=[("grpc.max_receive_message_length", _WIRE_BYTES_MAX)])


async def _started(server: Server | grpc.aio.Server) -> str:
    """The address that it listens on."""
    if isinstance(server, Server):
        return await server.listen("127.0.0.1:0")
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return f"127.0.0.1:{port}"


async def refused(service: Service, call: Any) -> Refusal:
    """How a call was refused; it must have been, and must have changed nothing."""
    service.counters.take_touched()
    before, asked = service.refusals(), service.endpoints_asked()
    try:
        await call
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
    else:
        raise AssertionError("it was answered")
    assert service.counters.take_touched() == []
    assert service.endpoints_asked() == asked
    counted = before.get(refusal.reason, 0) + 1
    assert service.refusals() == before | {refusal.reason: counted}
    return refusal
