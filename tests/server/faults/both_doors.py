"""A worker's two doors on real sockets, before the real upstream for language models."""

import asyncio
import json
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import NamedTuple, cast

import aiohttp
import grpc

from server.app.chat_queue import ChatQueue
from server.app.large_chats import LargeChats
from server.app.reader_process import ReaderProcess
from server.config.classes import ClassConfig, SloConfig
from server.config.models import HealthConfig, PriceConfig
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import CHAT
from server.door.door import Door
from server.door.service import DoorService
from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import Counters, Counts, Leg
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.rpc.errors import ErrorAnswering
from server.rpc.routing import RoutingServicer
from server.transport.held_bytes import HeldBytes
from server.transport.serving.server import Server
from server.transport.sockets.accepting import Accepting
from server.transport.sockets.listen import listen
from server.upstream.upstreams import Upstreams
from tests.server.routing.configs import config, model
from tests.server.rpc.service import refusal_of
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

PATIENCE_S = 30.0
CELL = Cell("chat", "-", "other", "s0", PayloadKind.TEXT)
_MIB = 2**20
_BODY = {"model": "auto", "messages": [{"role": "user", "content": "What is it?"}], "stream": True}
_PRICE = PriceConfig(request_usd=0.001, output_usd_per_mtok=10.0)
_CLASS = ClassConfig(name="chat", default=True, slo=SloConfig(ms=30_000, fraction=0.9))


class Got(NamedTuple):
    """What a caller of either door got."""

    events: tuple[bytes, ...]  # each the JSON of a chunk
    reason: str  # of the error; empty: none
    model: str  # who answered; empty: nobody
    is_whole: bool


@dataclass(slots=True)
class Doors:
    """Everything is small's; large comes next."""

    openai: str
    routing: "routing_pb2_grpc.RoutingServiceAsyncStub"
    session: aiohttp.ClientSession
    counters: Counters
    router: Router
    held: HeldBytes  # by streams

    async def ask(self, door: str, heard: asyncio.Event) -> Got:
        """A stream, by the door of this name; the first event sets `heard`."""
        async with asyncio.timeout(PATIENCE_S):
            return await (self._by_http if door == "http" else self._by_grpc)(heard)

    def counts(self) -> Counts:
        try:
            return self.counters.get(Leg(CELL, "small", "small"))
        except KeyError:
            return Counts()

    def nothing_is_left(self) -> bool:
        loads = self.router.endpoints.loads.values()
        return all(load.in_flight == 0 for load in loads) and not self.held.in_all

    async def _by_http(self, heard: asyncio.Event) -> Got:
        url = f"http://{self.openai}/v1/chat/completions"
        async with self.session.post(url, data=json.dumps(_BODY)) as response:
            said = b""
            while piece := await response.content.readany():
                said += piece
                heard.set()
            if response.status != 200:
                return Got((), json.loads(said)["error"]["code"], "", is_whole=False)
            events = [one for one in said.split(b"\n\n") if one.startswith(b"data: ")]
            data = [one.removeprefix(b"data: ") for one in events]
            errors = [one for one in data if one.startswith(b'{"error"')]
            chunks = tuple(one for one in data if one != b"[DONE]" and one not in errors)
            reason = json.loads(errors[0])["error"]["code"] if errors else ""
            is_whole = data[-1] == b"[DONE]"
            return Got(chunks, reason, response.headers["x-turnout-model"], is_whole)

    async def _by_grpc(self, heard: asyncio.Event) -> Got:
        request = pb.InferStreamRequest(openai_chat=json.dumps(_BODY).encode())
        call = self.routing.InferStream(request)
        chunks: list[bytes] = []
        last, reason = pb.InferStreamResponse(), ""
        try:
            async for part in call:
                heard.set()
                if part.WhichOneof("event") == "openai_chunk":
                    chunks.append(part.openai_chunk)
                else:
                    last = part
        except grpc.aio.AioRpcError as error:
            reason = refusal_of(error).reason
        head = dict(await call.initial_metadata())
        name = str(head.get("turnout-model", ""))
        return Got(tuple(chunks), reason, name, is_whole=last.HasField("end"))


@asynccontextmanager
async def both_doors(*urls: str, deadline_s: float = PATIENCE_S) -> AsyncIterator[Doors]:
    """Before a model at each URL: small, and large."""
    counters, chance, now_s = Counters(), random.Random(1).random, time.time
    held = _held()
    router = Router(Selector(), Sealer(bytes(KEY_BYTES), boot=7), counters, chance=chance)
    models = [
        model(name, protocol="openai", endpoints=(url,), price=_PRICE)
        for name, url in zip(("small", "large"), urls, strict=False)
    ]
    chat = _CLASS.model_copy(update={"deadline_s": deadline_s})
    health = HealthConfig(consecutive_failures_max=1)
    router.configure(config(*models, classes=(chat,), health=health))
    router.publish(WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}))
    upstreams = Upstreams({}, now_s=now_s, held=held)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(upstreams.close)
        await upstreams.track(router.models())
        dispatcher = Dispatcher(router, upstreams.exchanges, counters, now_s=now_s, chance=chance)
        large_chats = LargeChats(ReaderProcess(), ChatQueue())
        stack.push_async_callback(large_chats.close)
        servicer = RoutingServicer(
            router,
            dispatcher,
            _settles_nothing,
            large_chats.read,
            counters.count_refusal,
            now_s=now_s,
            chance=chance,
        )
        server = Server(chance=lambda: 0.5)
        answering = ErrorAnswering(
            cast("grpc.aio.Server", server), counters.count_refusal, chance=lambda: 0.0
        )
        answering.add(routing_pb2_grpc.add_RoutingServiceServicer_to_server, servicer)
        data = await server.listen("127.0.0.1:0")
        stack.push_async_callback(server.stop, 0)
        service = DoorService(
            router,
            dispatcher,
            {CHAT: large_chats.read},
            counters.count_refusal,
            now_s=now_s,
            chance=lambda: 0.0,
        )
        openai = await _opened(stack, Door(service.answer, _held(), chance=lambda: 0.5))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(data))
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        stub = routing_pb2_grpc.RoutingServiceStub(channel)
        yield Doors(openai, stub, session, counters, router, held)


async def _opened(stack: AsyncExitStack, door: Door) -> str:
    """Where it is open."""
    listener, adopting = listen("127.0.0.1:0"), set[asyncio.Task[None]]()

    def take(sock: socket.socket) -> None:
        task = asyncio.create_task(door.adopt(sock))
        adopting.add(task)
        task.add_done_callback(adopting.discard)

    stack.push_async_callback(door.stop, 0.0)
    stack.enter_context(closing(Accepting(listener, take)))
    return listener.address


def _held() -> HeldBytes:
    return HeldBytes(bytes_max=256 * _MIB, in_all_max=512 * _MIB)


async def _settles_nothing(outcomes: object) -> tuple[pb.OutcomeResult, ...]:
    return ()
