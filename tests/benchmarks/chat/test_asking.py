"""Questions of `make chat`, asked by OpenAI's client through a door."""

from collections.abc import Sequence

from openai import AsyncOpenAI

from benchmarks.chat.asking import BROKEN, Streamed, ask_of
from benchmarks.chat.models import cost_nano_usd
from benchmarks.chat.questions import Question
from benchmarks.demo.load import Arrival, Reply
from tests.server.door.front import event, opened

USAGE = b'data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
USAGE += b'"usage":{"prompt_tokens":30,"completion_tokens":4,"total_tokens":34}}\n\n'
PIECES = (event("Par"), event("is"), USAGE)
FRANCE = Question("What is the capital of France?", "Paris")
ITALY = Question("What is the capital of Italy?", "Rome")


async def asked(
    question: Question,
    *,
    pieces: Sequence[bytes] = PIECES,
    breaks: bool = False,
    traffic_class: str = "auto",
) -> Reply:
    async with (
        opened() as front,
        AsyncOpenAI(base_url=front.base_url, api_key="unused", max_retries=0) as client,
    ):
        front.model.pieces, front.model.breaks = pieces, breaks
        reply = await ask_of(client, [ITALY, question])(Arrival(0.0, traffic_class, 1))
        assert all(question.text.encode() in bytes(one.body) for one in front.model.asked)
        return reply


async def test_an_answer_is_put_together_priced_and_graded() -> None:
    reply = await asked(FRANCE)
    assert (reply.right, reply.failure, reply.is_shed) == (True, "", False)
    answer = reply.answer
    assert isinstance(answer, Streamed)
    assert (answer.words, answer.cost_nano_usd) == ("Paris", cost_nano_usd(30, 4))
    assert answer.model
    assert answer.reason
    assert reply.grade is not None
    assert (reply.grade.quality, reply.grade.decision_id != "") == (1.0, True)


async def test_an_answer_that_is_wrong_is_graded_as_that() -> None:
    reply = await asked(ITALY)
    assert not reply.right
    assert reply.grade is not None
    assert reply.grade.quality == 0.0


async def test_a_stream_that_breaks_off_is_told_as_that() -> None:
    reply = await asked(FRANCE, pieces=PIECES[:1], breaks=True)
    assert reply.answer is None
    assert reply.failure.startswith(BROKEN)


async def test_a_refusal_is_told_by_its_reason() -> None:
    reply = await asked(FRANCE, traffic_class="nope")
    assert reply.failure.startswith("CLASS_UNKNOWN: ")
    assert not reply.is_shed
