"""Questions, asked by the stock client of OpenAI through the door, streamed and graded."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openai import APIError, AsyncOpenAI

from benchmarks.chat.measuring import OPTIONS
from benchmarks.chat.models import cost_nano_usd
from benchmarks.chat.questions import Question
from benchmarks.demo.load import SHED, Arrival, Ask, Reply
from turnout import Outcome

BROKEN = "STREAM_BROKEN"  # the code of a stream that broke off, and was paid for


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that came in pieces, and what its head and its usage told."""

    model: str
    cost_nano_usd: int  # by its usage
    words: str
    reason: str
    first_words_s: float  # from asked to the first piece that said something


def ask_of(client: AsyncOpenAI, asked: Sequence[Question]) -> Ask:
    """Asks the question of an arrival, and grades what is answered."""

    async def ask(arrival: Arrival) -> Reply:
        question = asked[arrival.item]
        try:
            decision_id, answer = await _stream(client, arrival.traffic_class, question)
        except APIError as error:
            return Reply(failure=f"{error.code}: {error.message}", is_shed=error.code == SHED)
        right = question.is_answered_by(answer.words)
        grade = Outcome(decision_id=decision_id, quality=float(right))
        return Reply(answer, right, grade=grade)

    return ask


async def _stream(
    client: AsyncOpenAI, traffic_class: str, question: Question
) -> tuple[str, Streamed]:
    """The decision id and the answer; raises APIError."""
    begun_s = time.monotonic()
    message: Any = {"role": "user", "content": question.text}
    response = await client.chat.completions.with_raw_response.create(
        model=traffic_class,
        messages=[message],
        stream=True,
        stream_options={"include_usage": True},
        **OPTIONS,
    )
    words, first_s, cost = "", 0.0, 0
    async for chunk in response.parse():
        said = chunk.choices[0].delta.content if chunk.choices else None
        if said and not words:
            first_s = time.monotonic() - begun_s
        words += said or ""
        if chunk.usage:
            cost = cost_nano_usd(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    head = response.headers
    answer = Streamed(head["x-turnout-model"], cost, words, head["x-turnout-reason"], first_s)
    return head["x-turnout-decision"], answer
