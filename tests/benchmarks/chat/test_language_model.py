from collections.abc import Iterator

import openai
import pytest

from tests.language_models import started


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from started()


def test_a_language_model_answers_a_question_and_says_what_it_took(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="none") as client:
        answer = client.chat.completions.create(
            model="smollm2",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            max_completion_tokens=16,
            temperature=0,
        )
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 16
