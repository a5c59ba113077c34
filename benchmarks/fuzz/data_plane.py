"""The data plane as a worker composes it, in one process: endpoints answer at once."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import grpc
from grpc_health.v1 import health_pb2_grpc

from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.planned import CONFIG, KEY, NOW_S, control_plane
from server.app.chat_reader import CHAT, answer_to, chat_of
from server.app.handed_listener import BYTES_MAX_BY_PATH, worker_limits
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import Asked, Exchanges, Metadata, Reply
from server.routing.catalog import Cell, Model
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.rpc.errors import ErrorAnswering
from server.rpc.health import HEALTH, OIP, ROUTING, HealthServicer
from server.rpc.oip import OipServicer
from server.rpc.openai_chat import Chat
from server.rpc.reflection import add_reflection
from server.rpc.routing import RoutingServicer
from server.transport.serving.server import Server
from server.wire import oip_pb2, oip_pb2_grpc
from turnout.v1 import routing_pb2, routing_pb2_grpc

_DOMAINS = ("other", "law")
_ANSWER = oip_pb2.ModelInferResponse(
    model_name="small", raw_output_contents=[bytes(64)]
).SerializeToString()
_MEMORY_MIB = 1_536  # as a worker has it by default
# Of some cells and classes only: others are decided without a plan.
_TABLE = WeightTable(
    "p1",
    {Cell("chat", "all", domain, "s0"): ((0, 0.5, 1_000), (1, 0.5, 9_000)) for domain in _DOMAINS},
    {"acme": ((1, 1.0, 9_000),)},
)
_SERVICES = (ROUTING, OIP, HEALTH)


@asynccontextmanager
async def data_plane(loop: TurnLoop) -> AsyncIterator[Server]:
    """A server that nobody has connected to yet."""
    counters, chance = Counters(), random.Random(1).random
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=chance)
    router.configure(CONFIG)
    router.publish(_TABLE)
    exchanges = Exchanges({"oip": _answer})
    dispatcher = Dispatcher(router, exchanges, counters, now_s=_clock(loop), chance=chance)
    with control_plane(loop) as plane:

        async def settle(
            outcomes: Sequence[routing_pb2.Outcome],
        ) -> Sequence[routing_pb2.OutcomeResult]:
            with loop.beside():  # another process's work
                return plane.settle(outcomes)

        async def read_large_chat(body: bytes, _peer: str) -> Chat:
            with loop.beside():
                answer = answer_to(CHAT + body)
            return chat_of(answer)

        server = Server(
            worker_limits(_MEMORY_MIB), chance=lambda: 0.5, message_bytes_max=BYTES_MAX_BY_PATH
        )
        like_grpcio = cast("grpc.aio.Server", server)  # it takes servicers as grpcio's does
        health = HealthServicer()
        health.publish(router.readiness(NOW_S))
        answering = ErrorAnswering(like_grpcio, counters.count_refusal)
        answering.add(
            routing_pb2_grpc.add_RoutingServiceServicer_to_server,
            RoutingServicer(
                router,
                dispatcher,
                settle,
                read_large_chat,
                counters.count_refusal,
                now_s=_clock(loop),
                chance=chance,
            ),
        )
        answering.add(
            oip_pb2_grpc.add_GRPCInferenceServiceServicer_to_server,
            OipServicer(router, dispatcher, lambda: health.ready, now_s=_clock(loop), version="0"),
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, like_grpcio)
        add_reflection(like_grpcio, _SERVICES)
        yield server


def _clock(loop: TurnLoop) -> Callable[[], float]:
    return lambda: NOW_S + loop.time()


async def _answer(
    _address: str, _model: Model, _asked: Asked, _timeout_s: float, _metadata: Metadata
) -> Reply:
    """Stands for all endpoints."""
    return Reply(_ANSWER)
