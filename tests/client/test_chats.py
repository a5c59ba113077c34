"""What callers of language models see of the two clients: whole answers, and answers in pieces."""

import asyncio
import json
import threading

import pytest

from tests.client.both_clients import AnyClient, AnyClientClass, piece, pieces, settled
from tests.client.contract_server import (
    COST_NANO_USD,
    MODEL,
    PLAN_ID,
    REASON,
    WORDS,
    ContractServicer,
    completion,
    overloaded,
    silent,
)
from turnout import (
    AsyncClient,
    Cell,
    Chat,
    ChatAnswer,
    Chunk,
    Client,
    DeadlineExceeded,
    InternalError,
    Reason,
    StreamEnd,
    Target,
    Unavailable,
    Usage,
)
from turnout.chats import answer
from turnout.v1 import routing_pb2 as pb

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
BODY = {"messages": MESSAGES, "max_tokens": 20}
TEXT = "".join(WORDS)
TOLD = {
    "decision_id": "decision-1",
    "plan_id": PLAN_ID,
    "cell": Cell(traffic_class="code", payer="team-a", domain="other", size_bucket="s0"),
    "target": Target(model=MODEL.model, version=MODEL.version, endpoint=MODEL.endpoint),
    "reason": Reason(rule=REASON.rule, basis="plan", text=REASON.text),
    "report_wanted": True,
    "request_id": "r-1",
    "usage": Usage(
        input_tokens=7,
        output_tokens=9,
        latency_s=0.25,
        cached_input_tokens=3,
        reasoning_tokens=2,
        estimated=True,
    ),
    "cost_nano_usd": COST_NANO_USD,
    "attempts": 2,
}
CHATS = [(MESSAGES, {"messages": MESSAGES}), (BODY, BODY), (json.dumps(BODY).encode(), BODY)]


@pytest.mark.parametrize(("chat", "sent"), CHATS, ids=["messages", "dict", "bytes"])
async def test_a_chat_is_sent_whole_and_answered_with_what_it_took(
    client: AnyClient, servicer: ContractServicer, chat: Chat, sent: object
) -> None:
    said = await settled(client.chat(chat, traffic_class="code", request_id="r-1"))
    body = completion("message", TEXT, "stop")
    assert said == ChatAnswer(text=TEXT, finish_reason="stop", body=body, **TOLD)  # type: ignore[arg-type]  # by name
    (request,) = servicer.requests
    assert isinstance(request, pb.InferRequest)
    assert json.loads(request.openai_chat) == sent


async def test_what_a_user_says_is_sent_as_a_text(
    client: AnyClient, servicer: ContractServicer
) -> None:
    said = await settled(client.chat("What is the capital of France?"))
    assert (said.text, said.finish_reason, said.body) == (TEXT, "stop", b"")
    assert servicer.requests[0].text == "What is the capital of France?"  # type: ignore[union-attr]


async def test_an_answer_gives_the_everyday_facts_by_short_names(client: AnyClient) -> None:
    said = await settled(client.chat(MESSAGES))
    assert said.model == "small"
    assert said.cost_usd == pytest.approx(0.0015)


@pytest.mark.parametrize(("chat", "sent"), CHATS, ids=["messages", "dict", "bytes"])
async def test_a_stream_comes_in_chunks_as_their_endpoint_sent_them(
    client: AnyClient, servicer: ContractServicer, chat: Chat, sent: object
) -> None:
    *chunks, last = await pieces(client.stream(chat, traffic_class="code", request_id="r-1"))
    assert chunks == [
        Chunk(text=word, body=completion("delta", word, "length" if word == "." else None))
        for word in WORDS
    ]
    assert last == Chunk(end=StreamEnd(finish_reason="length", **TOLD))  # type: ignore[arg-type]  # by name
    (request,) = servicer.requests
    assert isinstance(request, pb.InferStreamRequest)
    assert json.loads(request.openai_chat) == sent


async def test_a_stream_of_a_text_is_what_the_model_writes_alone(client: AnyClient) -> None:
    *chunks, last = await pieces(client.stream("What is the capital of France?"))
    assert chunks == [Chunk(text=word) for word in WORDS]
    assert last.end is not None
    assert last.end.finish_reason == "length"


async def test_nothing_is_sent_before_the_first_piece_is_asked_for(
    client: AnyClient, servicer: ContractServicer
) -> None:
    await settled(client.stream(MESSAGES).close())
    assert servicer.requests == []


async def test_a_wrong_argument_of_a_stream_raises_at_once(client: AnyClient) -> None:
    with pytest.raises(TypeError, match="no such keyword: model"):
        client.stream(MESSAGES, model="small")  # type: ignore[call-arg]  # this is the mistake


@pytest.mark.parametrize("chat", ["\ud800", [{"role": "user", "content": "\ud800"}]])
async def test_half_a_character_is_refused_by_where_it_stands(
    client: AnyClient, chat: Chat
) -> None:
    with pytest.raises(ValueError, match=r"^chat"):
        client.stream(chat)


async def test_what_no_json_can_hold_is_refused_by_its_keyword(client: AnyClient) -> None:
    with pytest.raises(TypeError, match=r"^chat: Object of type set"):
        await settled(client.chat({"messages": {1}}))


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b"3"])
def test_an_answer_that_is_none_says_nothing(body: bytes) -> None:
    read = answer(pb.InferResponse(openai_chat=body))
    assert (read.text, read.finish_reason, read.body) == ("", "", body)


def test_half_a_character_that_an_endpoint_escapes_is_a_question_mark() -> None:
    body = b'{"choices":[{"message":{"content":"a\\ud83d","refusal":null}}]}'
    assert answer(pb.InferResponse(openai_chat=body)).text == "a?"


async def test_a_stream_is_sent_again_where_turnout_asked_no_model(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.extend([overloaded(), overloaded()])
    chunks = await pieces(client.stream(MESSAGES))
    assert "".join(chunk.text for chunk in chunks) == TEXT
    assert len(servicer.requests) == 3


async def test_a_stream_is_not_sent_again_where_a_model_may_have_been_asked(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(silent())
    with pytest.raises(Unavailable):
        await pieces(client.stream(MESSAGES))
    assert len(servicer.requests) == 1


async def test_a_stream_that_breaks_off_raises_and_is_not_sent_again(
    client: AnyClient, servicer: ContractServicer
) -> None:
    # As if nobody had been asked: what came by then says otherwise.
    servicer.breaks = overloaded()
    stream = client.stream(MESSAGES)
    came = [await piece(stream), await piece(stream)]
    assert [chunk.text for chunk in came] == list(WORDS[:2])
    with pytest.raises(Unavailable, match="OVERLOADED"):
        await piece(stream)
    assert len(servicer.requests) == 1


async def test_a_stream_that_does_not_say_what_it_took_is_none_of_turnouts(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.ends = False
    with pytest.raises(InternalError, match="without saying what it took"):
        await pieces(client.stream(MESSAGES))


async def test_a_streams_time_is_over_within_it_too(
    client_class: AnyClientClass, address: str, servicer: ContractServicer
) -> None:
    servicer.hangs_within = True
    client = client_class(address)
    stream = client.stream(MESSAGES, timeout_s=0.3)
    assert (await piece(stream)).text == ""
    with pytest.raises(DeadlineExceeded):
        await piece(stream)
    await settled(client.close())


async def test_a_stream_has_what_is_left_of_its_time_at_each_attempt(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(overloaded(0.7))
    await pieces(client.stream(MESSAGES, timeout_s=20))
    first_s, second_s = servicer.times_remaining_s
    assert first_s is not None
    assert second_s is not None
    assert second_s < first_s - 0.4  # gRPC rounds up


def test_who_leaves_a_stream_early_is_seen_to_leave(
    address: str, servicer: ContractServicer
) -> None:
    servicer.hangs_within = True
    with Client(address) as client:
        with client.stream(MESSAGES) as stream:
            next(stream)
        assert servicer.left.wait(20)
        assert list(stream) == []


def test_another_thread_may_end_a_stream_that_is_read(
    address: str, servicer: ContractServicer
) -> None:
    servicer.hangs_within = True
    with Client(address) as client:
        stream = client.stream(MESSAGES)
        next(stream)
        ending = threading.Timer(0.01, stream.close)
        ending.start()
        assert list(stream) == []
        assert servicer.left.wait(20)
        ending.join()


async def test_who_leaves_a_stream_of_asyncio_early_is_seen_to_leave(
    address: str, servicer: ContractServicer
) -> None:
    servicer.hangs_within = True
    async with AsyncClient(address) as client:
        async with client.stream(MESSAGES) as stream:
            await anext(stream)
        assert await asyncio.to_thread(servicer.left.wait, 20)
        assert [chunk async for chunk in stream] == []


async def test_another_task_may_end_a_stream_that_is_read(
    address: str, servicer: ContractServicer
) -> None:
    servicer.hangs_within = True
    async with AsyncClient(address) as client:
        stream = client.stream(MESSAGES)
        await anext(stream)
        reading = asyncio.create_task(pieces(stream))
        await asyncio.sleep(0)
        await stream.close()
        assert await reading == []


async def test_a_task_that_is_cancelled_ends_its_stream(
    address: str, servicer: ContractServicer
) -> None:
    servicer.hangs_within = True
    async with AsyncClient(address) as client:
        stream = client.stream(MESSAGES)
        await anext(stream)
        reading = asyncio.create_task(pieces(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await asyncio.to_thread(servicer.left.wait, 20)


async def test_a_task_that_is_cancelled_ends_its_chat(
    address: str, servicer: ContractServicer
) -> None:
    servicer.hang = threading.Event()
    async with AsyncClient(address) as client:
        asking = asyncio.create_task(client.chat(MESSAGES))
        assert await asyncio.to_thread(servicer.reached.wait, 20)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(servicer.left.wait, 20)
