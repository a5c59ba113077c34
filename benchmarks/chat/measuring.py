"""What is found out about the models before the first request, asking each straight."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from openai import AsyncOpenAI

from benchmarks.chat.models import BARE, TAUGHT, Measured, Study, cost_nano_usd
from benchmarks.chat.questions import Question, Questions

# Short answers, of which the likeliest words are taken: each question has one answer of a model.
OPTIONS: Mapping[str, Any] = {"max_tokens": 16, "temperature": 0}


class _Answer(NamedTuple):
    is_right: bool
    tokens: tuple[int, int]  # read and written
    latency_s: float


async def measured(urls: Mapping[str, str], questions: Questions) -> Study:
    """All models at one time, each a question at a time: the machine is shared later, too."""
    asking = [
        _answers(url, (*questions.measured, *(questions.asked if name == TAUGHT else ())))
        for name, url in urls.items()
    ]
    answers = dict(zip(urls, await asyncio.gather(*asking), strict=True))
    count = len(questions.measured)
    best = answers[TAUGHT][count:]
    return Study(
        measured={name: _measured(found[:count]) for name, found in answers.items()},
        best=TAUGHT,
        best_is_right=np.array([one.is_right for one in best]),
        best_costs=np.array([cost_nano_usd(*one.tokens) for one in best]),
    )


async def _answers(url: str, questions: Sequence[Question]) -> list[_Answer]:
    async with AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        return [await _asked(client, one) for one in questions]


async def _asked(client: AsyncOpenAI, question: Question) -> _Answer:
    begun_s = time.monotonic()
    message: Any = {"role": "user", "content": question.text}
    answer = await client.chat.completions.create(model=BARE, messages=[message], **OPTIONS)
    latency_s = time.monotonic() - begun_s
    said, usage = answer.choices[0].message.content or "", answer.usage
    assert usage is not None
    tokens = (usage.prompt_tokens, usage.completion_tokens)
    return _Answer(question.is_answered_by(said), tokens, latency_s)


def _measured(answers: Sequence[_Answer]) -> Measured:
    return Measured(
        accuracy=float(np.mean([one.is_right for one in answers])),
        questions=len(answers),
        cost_nano_usd=float(np.mean([cost_nano_usd(*one.tokens) for one in answers])),
        latency_s=float(np.mean([one.latency_s for one in answers])),
    )
