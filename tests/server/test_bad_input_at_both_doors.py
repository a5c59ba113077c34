"""Bad input by gRPC and at the door for OpenAI clients, whole and streamed, before one router."""

import io
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import field as given
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiohttp
import grpc
import pytest
from multidict import CIMultiDict

from server.app.chat_queue import ChatQueue
from server.app.large_chats import LargeChats
from server.app.reader_process import ReaderProcess
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import Exchanges
from server.routing.callers import Shown
from server.routing.keys import KeptSecret, Key, digest_of, whole
from server.rpc.errors import ErrorAnswering
from server.rpc.openai_body import FORWARDED_BYTES_MAX
from server.rpc.routing import RoutingServicer
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.door.front import MIB, NOW_S, PATIENCE_S, Front, opened
from tests.server.rpc.service import Ledger, refusal_of
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

PAGE = (Path(__file__).parents[2] / "docs/openai.md").read_text()
PAGE_ROW = "| {name} | `{reason}` | {status} | {code} |"
PROMPT = "a planted prompt"
A, B = whole("aaaaaaaaaa", 43 * "a"), whole("bbbbbbbbbb", 43 * "b")
UNKNOWN = whole("cccccccccc", 43 * "c")
CHAT = {"messages": [{"role": "user", "content": PROMPT}]}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


class Said(NamedTuple):
    """What a refused caller reads."""

    reason: str
    status: int | grpc.StatusCode
    field: str | None
    message: str
    all: str  # of the answer, head and body


@dataclass(frozen=True)
class Bad:
    """A request that is refused, and how."""

    name: str
    reason: str
    status: int
    code: grpc.StatusCode
    body: dict[str, Any] | bytes = given(default_factory=dict)  # beside the chat, or instead of it
    named: str = ""  # as the class: in a header, or in the context
    tenant: str = ""
    keys: tuple[str, ...] = ()
    needs_keys: bool = False
    of_a: dict[str, Any] = given(default_factory=dict)  # what key A may
    spent: bool = False  # it has asked all that it may a minute
    param: str | None = None
    field: str = ""
    says: str = ""

    def sent(self, *, streams: bool) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(CHAT | self.body | ({"stream": True} if streams else {})).encode()


INVALID, FAILED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
EXHAUSTED, DENIED = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
ROWS = (
    Bad(
        *("an unknown model name", "CLASS_UNKNOWN", 404, INVALID),
        body={"model": "gpt-4o"},
        param="model",
        field="openai_chat.model",
    ),
    Bad(
        *("an unknown class", "CLASS_UNKNOWN", 404, INVALID),
        named="gpt",
        param="x-turnout-class",
        field="context.traffic_class",
    ),
    Bad(
        *("a class and a model that differ", "CLASS_AMBIGUOUS", 400, INVALID),
        body={"model": "chat"},
        named="strict",
        param="x-turnout-class",
        field="context.traffic_class",
        says="it says 'strict', and the model 'chat': give one",
    ),
    Bad(
        *("an option no candidate supports", "OPTION_UNSUPPORTED", 400, INVALID),
        body={"temperature": 0, "logprobs": True},
        param="logprobs",
        field="openai_chat.logprobs",
    ),
    Bad(
        *("a body beyond its class", "PAYLOAD_TOO_LARGE", 413, EXHAUSTED),
        body={"model": "short", "user": 200 * "u"},
        says="class short takes at most 200",
    ),
    Bad(
        *("a body beyond every limit", "PAYLOAD_TOO_LARGE", 413, EXHAUSTED),
        body=b" " * (FORWARDED_BYTES_MAX + 1),
        field="openai_chat",
        says="at most 16,777,216",
    ),
    Bad(
        *("no JSON", "PAYLOAD_MALFORMED", 400, INVALID),
        body=b'{"model": "' + PROMPT.encode() + b'", }',
        field="openai_chat",
        says="at character 30",
    ),
    Bad(
        *("no UTF-8", "PAYLOAD_MALFORMED", 400, INVALID),
        body=b'{"model": "' + PROMPT.encode() + b'\xff"}',
        field="openai_chat",
        says="at byte 27",
    ),
    Bad(
        *("a number of 5,000 digits", "PAYLOAD_MALFORMED", 400, INVALID),
        body=b'{"n": ' + 5_000 * b"9" + b"}",
        field="openai_chat",
        says="at byte 6",
    ),
    Bad(
        *("tools without a capable model", "NO_CANDIDATE", 400, FAILED),
        body={"tools": TOOLS},
        field="features.capabilities",
    ),
    Bad(*("no key", "KEY_MISSING", 401, UNAUTHENTICATED), needs_keys=True),
    Bad(*("an unknown key", "KEY_UNKNOWN", 401, UNAUTHENTICATED), keys=(UNKNOWN,)),
    Bad(
        *("an expired key", "KEY_EXPIRED", 401, UNAUTHENTICATED),
        keys=(A,),
        of_a={"expires_s": NOW_S},
    ),
    Bad(
        *("a key over its rate", "KEY_RATE", 429, EXHAUSTED),
        keys=(A,),
        of_a={"requests_per_minute": 30},
        spent=True,
    ),
    Bad(
        *("a key that is not for the class", "KEY_CLASS", 403, DENIED),
        keys=(A,),
        of_a={"classes": frozenset({"strict"})},
        body={"model": "chat"},
    ),
    Bad(*("two keys", "KEY_AMBIGUOUS", 400, INVALID), keys=(A, B)),
    Bad(
        *("a key of another tenant", "KEY_TENANT", 403, DENIED),
        keys=(B,),
        tenant="acme",
        param="x-turnout-tenant",
        field="context.tenant",
    ),
)


@dataclass
class Doors:
    """Both ways in, to one router."""

    front: Front
    http: aiohttp.ClientSession
    grpc: "routing_pb2_grpc.RoutingServiceAsyncStub"

    async def post(self, bad: Bad, *, streams: bool) -> Said:
        headers = CIMultiDict([("authorization", f"Bearer {key}") for key in bad.keys])
        said_of = {"x-turnout-class": bad.named, "x-turnout-tenant": bad.tenant}
        headers.update({name: value for name, value in said_of.items() if value})
        body = bad.sent(streams=streams)
        async with self.http.post(
            "/v1/chat/completions", data=io.BytesIO(body), headers=headers
        ) as response:
            said = await response.text()
            error = json.loads(said)["error"]
            shown = f"{response.raw_headers!r} {said}"
            return Said(error["code"], response.status, error["param"], error["message"], shown)

    async def call(self, bad: Bad, *, streams: bool) -> Said:
        metadata = tuple(("authorization", f"Bearer {key}") for key in bad.keys)
        context = pb.RequestContext(traffic_class=bad.named, tenant=bad.tenant)
        answer: Awaitable[object]
        chat = bad.sent(streams=False)
        if streams:
            request = pb.InferStreamRequest(context=context, openai_chat=chat)
            answer = self.grpc.InferStream(request, metadata=metadata, timeout=PATIENCE_S).read()
        else:
            whole = pb.InferRequest(context=context, openai_chat=chat)
            answer = self.grpc.Infer(whole, metadata=metadata, timeout=PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answer
        refusal, trailers = refusal_of(raised.value), raised.value.trailing_metadata()
        field = ",".join(refusal.fields)
        shown = f"{refusal.message} {tuple(trailers or ())!r}"
        return Said(refusal.reason, refusal.code, field, refusal.message, shown)


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with (
        opened() as front,
        aiohttp.ClientSession(front.url, timeout=timeout) as http,
        served(front) as address,
        grpc.aio.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel,
    ):
        yield Doors(front, http, routing_pb2_grpc.RoutingServiceStub(channel))


@asynccontextmanager
async def served(front: Front) -> AsyncIterator[str]:
    """gRPC before the door's own router and model; its address."""
    chance: Callable[[], float] = random.Random(1).random
    exchanges = Exchanges(
        whole={"openai": front.model.ask}, streamed={"openai": front.model.stream}
    )
    dispatcher = Dispatcher(
        front.router, exchanges, front.counters, now_s=lambda: NOW_S, chance=chance
    )
    large_chats = LargeChats(ReaderProcess(), ChatQueue())
    server = Server(ServerLimits(message_bytes_max=32 * MIB), chance=lambda: 0.5)
    ErrorAnswering(cast("grpc.aio.Server", server), front.counters.count_refusal).add(
        routing_pb2_grpc.add_RoutingServiceServicer_to_server,
        RoutingServicer(
            front.router,
            dispatcher,
            Ledger().settle,
            large_chats.read,
            front.counters.count_refusal,
            now_s=lambda: NOW_S,
            chance=chance,
        ),
    )
    try:
        yield await server.listen("127.0.0.1:0")
    finally:
        await server.stop(0)
        await large_chats.close()


def put_in_force(front: Front, bad: Bad) -> None:
    """Keys A and B, where the row is about them."""
    if not (bad.keys or bad.needs_keys):
        return
    front.router.callers.put_in_force(
        [
            Key("aaaaaaaaaa", "acme", (KeptSecret(digest_of(A)),), **bad.of_a),
            Key("bbbbbbbbbb", "initech", (KeptSecret(digest_of(B)),)),
        ]
    )
    config = front.router._ready().config
    callers = config.callers.model_copy(update={"anonymous": False})
    listeners = config.listeners.model_copy(update={"openai": "127.0.0.1:0"})
    update = {"callers": callers, "listeners": listeners}
    front.router.callers.configure(config.model_copy(update=update))
    if bad.spent:
        caller = front.router.callers.find(Shown([f"Bearer {A}"]), now_s=NOW_S)
        caller.spend(bad.of_a["requests_per_minute"], now_s=NOW_S)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("at_the_door", [True, False], ids=["door", "grpc"])
@pytest.mark.parametrize("bad", ROWS, ids=lambda bad: bad.name)
async def test_bad_input_has_its_reason_and_status_and_is_neither_counted_nor_echoed(
    doors: Doors, bad: Bad, at_the_door: bool, streams: bool
) -> None:
    put_in_force(doors.front, bad)
    ask = doors.post if at_the_door else doors.call
    said = await ask(bad, streams=streams)
    status, field = (bad.status, bad.param) if at_the_door else (bad.code, bad.field)
    assert (said.reason, said.status, said.field) == (bad.reason, status, field)
    assert bad.says in said.message
    assert not [one for one in (PROMPT, *bad.keys) if one in said.all]
    assert doors.front.model.asked == []
    assert doors.front.counters.take_touched() == []
    assert dict(doors.front.counters.refusals()) == {bad.reason: 1}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_the_same_chat_without_a_mistake_is_answered_at_both(
    doors: Doors, streams: bool
) -> None:
    body = json.dumps(CHAT | {"model": "chat", "temperature": 0, "logprobs": None}).encode()
    request = pb.InferRequest(openai_chat=body)
    await doors.grpc.Infer(request, timeout=PATIENCE_S)
    sent = json.dumps({**json.loads(body), "stream": streams}).encode()
    async with doors.http.post("/v1/chat/completions", data=sent) as response:
        assert response.status == 200
        await response.read()
    assert len(doors.front.model.asked) == 2


@pytest.mark.parametrize("bad", ROWS, ids=lambda bad: bad.name)
def test_the_page_has_a_row_for_each(bad: Bad) -> None:
    row = PAGE_ROW.format(name=bad.name, reason=bad.reason, status=bad.status, code=bad.code.name)
    assert row in PAGE
