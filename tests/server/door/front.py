"""A door as a worker composes it, on a real socket, before a model that behaves as it is told."""

import asyncio
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field

from server.app.chat_queue import ChatQueue
from server.app.large_chats import LargeChats
from server.app.reader_process import ReaderProcess
from server.config.classes import ClassConfig
from server.config.match import MatchConfig
from server.config.models import PriceConfig
from server.config.schema import Config
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import (
    CHAT,
    EMBEDDINGS,
    Asked,
    Bytes,
    EndpointError,
    EventStream,
    Exchanges,
    Metadata,
    Reply,
)
from server.door.door import Answer, Door
from server.door.limits import DoorLimits
from server.door.service import DoorService
from server.routing.catalog import Model
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import Selector
from server.status_code import Code
from server.token_usage import TokenUsage
from server.transport.held_bytes import HeldBytes
from server.transport.sockets.accepting import Accepting
from server.transport.sockets.listen import listen
from tests.server.routing.configs import config, model

PATIENCE_S = 20.0
NOW_S = 1_700_000_000.0
KEY = bytes(KEY_BYTES)
MIB = 2**20
ANSWER = b'{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
ANSWER += b'"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],'
ANSWER += b'"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}'


def event(text: str) -> bytes:
    """As models send one of a stream."""
    return (
        b'data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{"content":"' + text.encode() + b'"},"finish_reason":null}]}\n\n'
    )


@dataclass(slots=True)
class FakeModel:
    """Answers whoever asks, once `open` lets it; `failure` instead, if there is one."""

    answer: bytes = ANSWER
    pieces: Iterable[bytes] = (event("Par"), event("is"))
    usage: TokenUsage | None = field(default_factory=lambda: TokenUsage(input=9, output=1))
    failure: EndpointError | None = None
    breaks: bool = False  # after its pieces
    asked: list[Asked] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    pulled: int = 0  # pieces that were asked for

    def __post_init__(self) -> None:
        self.open.set()

    async def ask(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        await self._reach(asked, metadata)
        return Reply(self.answer, self.usage)

    async def stream(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        if self.failure is not None:
            raise self.failure
        self.asked.append(asked)
        self.metadata.append(metadata)
        stream = EventStream(self._pieces())
        stream.usage = self.usage
        return stream

    async def _reach(self, asked: Asked, metadata: Metadata) -> None:
        self.asked.append(asked)
        self.metadata.append(metadata)
        self.reached.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            raise self.failure

    async def _pieces(self) -> AsyncGenerator[Bytes, None]:
        try:
            for piece in self.pieces:
                self.pulled += 1
                yield piece
                self.reached.set()
                await self.open.wait()
            if self.breaks:
                raise EndpointError(Code.UNAVAILABLE, "reset by peer")
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise


@dataclass(slots=True)
class Front:
    """The door, what is behind it, and how to reach it."""

    door: Door
    model: FakeModel
    counters: Counters
    held: HeldBytes
    router: Router
    address: str

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def exchange(self, *sent: bytes) -> bytes:
        """All that comes back for these bytes, until the door ends the connection."""
        reader, writer = await self.connect()
        async with asyncio.timeout(PATIENCE_S):
            for piece in sent:
                writer.write(piece)
                await asyncio.sleep(0)
            answered = await _all_of(reader)
        writer.close()
        return answered


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    answered = bytearray()
    try:
        while piece := await reader.read(65_536):
            answered += piece
    except ConnectionError:  # what was not read by then makes it a reset
        pass
    return bytes(answered)


def door_config() -> Config:
    return config(
        model(
            "small",
            protocol="openai",
            endpoints=("http://small:1/v1",),
            price=PriceConfig(input_usd_per_mtok=1.0, output_usd_per_mtok=2.0),
            capabilities=("images",),
            options_refused=("logprobs",),
        ),
        model(
            "vectors",
            protocol="openai",
            serves="embeddings",
            endpoints=("http://vectors:1/v1",),
            price=PriceConfig(input_usd_per_mtok=0.1),
        ),
        classes=(
            ClassConfig(name="chat", default=True),
            ClassConfig(name="strict", match=MatchConfig(labels={"app": ("strict",)})),
            ClassConfig(name="support"),
            ClassConfig(name="short", request_bytes_max=200),
            ClassConfig(name="acme", match=MatchConfig(tenant=("acme",), user=("ada",))),
            ClassConfig(name="urgent", match=MatchConfig.model_validate({"priority": {"min": 5}})),
            ClassConfig(name="blue", match=MatchConfig(metadata={"x-team": ("blue",)})),
        ),
    )


@asynccontextmanager
async def opened(
    limits: DoorLimits | None = None,
    *,
    held: HeldBytes | None = None,
    answer: Answer | None = None,
) -> AsyncIterator[Front]:
    """Accepts on a free port; `answer` stands for the service."""
    fake, counters, chance = FakeModel(), Counters(), random.Random(1).random
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=chance)
    router.configure(door_config())
    exchanges = Exchanges(whole={"openai": fake.ask}, streamed={"openai": fake.stream})
    dispatcher = Dispatcher(router, exchanges, counters, now_s=lambda: NOW_S, chance=chance)
    held = held or HeldBytes(bytes_max=256 * MIB, in_all_max=512 * MIB)
    async with AsyncExitStack() as stack:
        large_chats = LargeChats(ReaderProcess(), ChatQueue())
        stack.push_async_callback(large_chats.close)
        service = DoorService(
            router,
            dispatcher,
            {CHAT: large_chats.read, EMBEDDINGS: large_chats.read_embeddings},
            counters.count_refusal,
            now_s=lambda: NOW_S,
            chance=lambda: 0.0,
        )
        door = Door(answer or service.answer, held, limits, chance=lambda: 0.5)
        listener = listen("127.0.0.1:0")
        adopting: set[asyncio.Task[None]] = set()

        def take(sock: socket.socket) -> None:
            task = asyncio.create_task(door.adopt(sock))
            adopting.add(task)
            task.add_done_callback(adopting.discard)

        stack.push_async_callback(door.stop, 0.0)
        stack.enter_context(closing(Accepting(listener, take)))
        yield Front(door, fake, counters, held, router, listener.address)
