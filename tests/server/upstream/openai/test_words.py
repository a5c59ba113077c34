"""What of an endpoint's own words is passed on, and what a status means."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.status_meaning import STATUS_MEANINGS
from server.status_code import Code
from server.upstream.openai.refusals import event_error
from server.upstream.openai.statuses import RETRY_AFTER_S_MAX, code_of, retry_after_s
from server.upstream.openai.usage import Json
from server.upstream.openai.words import (
    COMPARED_BYTES_MAX,
    WORDS_CHARS_MAX,
    Told,
    fit_to_pass_on,
    told_in,
)

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
REQUEST = json.dumps(
    {
        "model": "m-1",
        "messages": [
            {"role": "user", "content": 'Wie hei\u00dft "der"\nFluss in K\u00f6ln am Rhein?'},
            {"role": "user", "content": "tiny pin"},
        ],
        "max_completion_tokens": 99,
    }
).encode()
KEY = "sk-0123456789"


@pytest.mark.parametrize(
    "words",
    [
        "max_completion_tokens is too large: 99. This model supports at most 16 tokens.",
        "Unsupported parameter: 'max_completion_tokens' is not supported with this model.",
        "The model `m-1` does not exist.",
        "role must be one of system, user",
    ],
)
def test_words_about_a_request_are_passed_on(words: str) -> None:
    assert fit_to_pass_on(words, REQUEST, [KEY]) == words


@pytest.mark.parametrize(
    "words",
    [
        'cannot read "Wie hei\u00dft \\"der\\"\\nFluss in K\u00f6ln am Rhein?"',
        "input_value='Fluss in K\u00f6ln am', input_type=str",
        "I do not like tiny pin",
        f"Incorrect API key provided: {KEY}",
        "Incorrect API key provided: sk-01234...56789",
    ],
)
def test_words_that_quote_the_request_or_the_key_are_not(words: str) -> None:
    assert fit_to_pass_on(words, REQUEST, [KEY]) == ""


@given(prompt=st.text(min_size=12), before=st.text(max_size=9), after=st.text(max_size=9))
def test_a_prompt_is_never_passed_on_whole(prompt: str, before: str, after: str) -> None:
    request = json.dumps({"messages": [{"content": prompt}]}).encode()
    passed = fit_to_pass_on(before + prompt + after, request, [])
    assert sum(map(str.isalnum, prompt)) < 12 or passed == ""


def test_words_are_one_line_of_what_can_be_printed() -> None:
    assert fit_to_pass_on("no\n\x1b[31m  way", b"{}", []) == "no [31m way"


def test_nothing_is_passed_on_about_a_request_that_is_too_large_to_compare() -> None:
    request = json.dumps({"a": "x" * COMPARED_BYTES_MAX}).encode()
    assert fit_to_pass_on("no", request, []) == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"no","code":"model_not_found"}}', Told("model_not_found", "no")),
        (b'{"error":{"message":"no","code":503}}', Told("", "no")),
        (b'{"error":"no"}', Told("", "no")),
        (b'[{"error":{"message":"no"}}]', Told("", "no")),
        (b'{"detail":"no"}', Told("", "no")),
        (b'{"object":"error","message":"no"}', Told("", "no")),
        (b'{"error":{"message":"no","code":"a b\\n"}}', Told("", "no")),
        (b"<html>", Told()),
        (b"[" * 100_000, Told()),
        (b"3", Told()),
    ],
)
def test_an_error_is_read_however_a_server_writes_it(body: bytes, expected: Told) -> None:
    assert told_in(body) == expected


def test_no_more_of_an_error_is_kept_than_is_passed_on() -> None:
    body = json.dumps({"error": "x" * 9_999}).encode()
    assert len(told_in(body).words) == WORDS_CHARS_MAX


@given(status=st.integers(100, 999).filter(lambda status: status != 200))
def test_every_status_means_something_to_dispatch(status: int) -> None:
    assert code_of(status) in STATUS_MEANINGS


@pytest.mark.parametrize(
    ("status", "retries", "sees"),
    [
        (400, False, Code.INVALID_ARGUMENT),
        (401, True, Code.UNAVAILABLE),
        (403, True, Code.UNAVAILABLE),
        (404, True, Code.UNAVAILABLE),
        (429, True, Code.UNAVAILABLE),
        (500, True, Code.INTERNAL),
        (503, True, Code.UNAVAILABLE),
        (504, True, Code.DEADLINE_EXCEEDED),
    ],
)
def test_another_is_asked_where_it_is_not_the_callers_fault(
    status: int, retries: bool, sees: Code
) -> None:
    meaning = STATUS_MEANINGS[code_of(status)]
    assert (meaning.retry, meaning.caller_sees) == (retries, sees)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Mon, 30 Nov 2026 12:00:09 GMT"}, 9.0),
        ({"retry-after": "Mon, 30 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "1e9"}, RETRY_AFTER_S_MAX),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1" * 5_000}, RETRY_AFTER_S_MAX),
    ],
)
def test_a_time_to_come_back_is_read_in_every_form(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after_s(headers, NOW) == expected


@given(said=st.text())
def test_no_text_for_a_time_breaks_anything(said: str) -> None:
    found = retry_after_s({"retry-after": said}, NOW)
    assert found is None or 0 <= found <= RETRY_AFTER_S_MAX


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 503}, Code.UNAVAILABLE),
        ({"code": "rate_limit_exceeded"}, Code.RESOURCE_EXHAUSTED),
        ({"type": "overloaded_error"}, Code.RESOURCE_EXHAUSTED),
        ({"message": "no"}, Code.INTERNAL),
        ("no", Code.INTERNAL),
        (True, Code.INTERNAL),
    ],
)
def test_an_error_within_a_stream_has_the_code_that_it_names(error: Json, code: Code) -> None:
    assert event_error(error, b"{}", []).code is code
