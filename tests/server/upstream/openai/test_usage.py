"""Usage as servers tell it, in classes that share none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.token_usage import TokenUsage
from server.upstream.openai.top_level import Malformed, members
from server.upstream.openai.usage import TOKENS_MAX, Json, usage_of
from server.upstream.openai.usage import usage_in as usage_of_answer

TOLD: list[tuple[str, dict[str, Json], TokenUsage]] = [
    ("plain", {"prompt_tokens": 9, "completion_tokens": 4}, TokenUsage(input=9, output=4)),
    ("embeddings", {"prompt_tokens": 9, "total_tokens": 9}, TokenUsage(input=9)),
    (
        "openai",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        TokenUsage(input=40, cached_input=60, output=20, reasoning=30),
    ),
    (
        "responses",
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens_details": {"reasoning_tokens": 30},
        },
        TokenUsage(input=40, cached_input=60, output=20, reasoning=30),
    ),
    (
        "anthropic, beside",
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_input_tokens": 7,
            "cache_creation_input_tokens": 2,
        },
        TokenUsage(input=10, cached_input=7, cache_write_input=2, output=5),
    ),
    (
        "litellm, inside",
        {
            "prompt_tokens": 19,
            "completion_tokens": 5,
            "cache_read_input_tokens": 7,
            "cache_creation_input_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 7},
        },
        TokenUsage(input=10, cached_input=7, cache_write_input=2, output=5),
    ),
    (
        "beside, for it is more",
        {
            "prompt_tokens": 3,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 7},
        },
        TokenUsage(input=3, cached_input=7, output=5),
    ),
    (
        "openrouter",
        {
            "prompt_tokens": 19,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 2},
        },
        TokenUsage(input=10, cached_input=7, cache_write_input=2, output=5),
    ),
    (
        "deepseek",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_cache_hit_tokens": 8,
            "prompt_cache_miss_tokens": 2,
        },
        TokenUsage(input=2, cached_input=8, output=5),
    ),
    (
        "xai, reasoning beside",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 18,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        TokenUsage(input=10, output=5, reasoning=3),
    ),
    (
        "reasoning beside, for it is more",
        {
            "prompt_tokens": 1,
            "completion_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": 6},
        },
        TokenUsage(input=1, output=5, reasoning=6),
    ),
    ("nulls", {"prompt_tokens": 1, "prompt_tokens_details": None}, TokenUsage(input=1)),
]


def usage_in(answer: bytes) -> TokenUsage | None:
    return usage_of_answer(answer, members(answer))


@pytest.mark.parametrize(("told", "expected"), [row[1:] for row in TOLD], ids=[r[0] for r in TOLD])
def test_usage_is_read_as_the_provider_means_it(told: Json, expected: TokenUsage) -> None:
    assert usage_of(told) == expected


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        3,
        {},
        {"prompt_tokens": -1},
        {"prompt_tokens": True},
        {"prompt_tokens": "9"},
        {"prompt_tokens": TOKENS_MAX + 1},
    ],
)
def test_what_makes_no_sense_is_no_usage(told: Json) -> None:
    assert usage_of(told) is None


counts = st.none() | st.integers(-1, TOKENS_MAX) | st.floats(0, 1e6)
details = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "cache_write_tokens"]), counts
)


@given(
    told=st.dictionaries(
        st.sampled_from(
            [
                "prompt_tokens",
                "completion_tokens",
                "input_tokens",
                "total_tokens",
                "prompt_cache_hit_tokens",
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
            ]
        ),
        counts,
    ),
    of_input=details,
    of_output=details,
)
def test_no_class_is_ever_negative_and_none_is_counted_twice(
    told: dict[str, Json], of_input: Json, of_output: Json
) -> None:
    usage = usage_of(
        {**told, "prompt_tokens_details": of_input, "completion_tokens_details": of_output}
    )
    if usage is not None:
        classes = [usage.input, usage.cached_input, usage.cache_write_input]
        assert min(*classes, usage.output, usage.reasoning) >= 0


def test_the_usage_of_an_answer_is_that_of_its_top_level_and_the_last_holds() -> None:
    answer = {
        "choices": [{"message": {"content": '"usage":{"prompt_tokens":1}'}}],
        "x": {"usage": {"prompt_tokens": 2}},
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
    assert usage_in(json.dumps(answer).encode()) == TokenUsage(input=3, output=4)
    assert usage_in(b'{"choices":[]}') is None
    assert usage_in(b'{"choices":[],"usage":null}') is None


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"usage":{"a"}}'])
def test_an_answer_that_is_no_json_object_is_told_apart(answer: bytes) -> None:
    with pytest.raises(Malformed):
        usage_in(answer)
