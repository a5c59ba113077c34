"""What routing reads of a Chat Completions body."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.routing.errors import PayloadMalformed, PayloadTooLarge, RoutingError
from server.routing.reading.token_estimate import estimate_tokens
from server.rpc.openai_chat import BYTES_MAX, MESSAGES_MAX, Chat, read_chat

LONG = "How do I transfer money to another account of mine?"


def body(*messages: Any, **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def read(*messages: Any, **fields: Any) -> Chat:
    return read_chat(body(*messages, **fields), field="openai_chat")


def test_the_last_turn_of_the_user_is_what_is_asked() -> None:
    chat = read(
        said("system", "You are a bank."),
        said("user", "hello"),
        said("assistant", "What can I do?"),
        said("user", LONG),
        said("assistant", "One moment."),
    )
    assert chat.asked == LONG
    assert chat.earlier == "hello\nWhat can I do?\nOne moment."
    assert chat.messages == 5


def test_a_short_last_turn_is_read_with_the_turn_before_it() -> None:
    chat = read(
        said("user", "an old matter"),
        said("user", LONG),
        said("assistant", "By the app."),
        said("user", "and abroad?"),
    )
    assert chat.asked == f"{LONG}\nand abroad?"
    assert chat.earlier == "an old matter\nBy the app."


def test_without_a_turn_of_the_user_the_last_one_is_read() -> None:
    assert read(said("assistant", "a"), said("tool", "b")).asked == "b"
    assert read(said("system", "a")).asked == ""


def test_texts_of_parts_are_joined_and_pictures_need_a_model_that_sees() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "text", "text": "And where?"},
        {"type": "input_audio", "input_audio": {}},
    ]
    chat = read(said("user", parts))
    assert chat.asked == "What is this?\nAnd where?"
    assert chat.capabilities == ("images",)


def test_tools_need_a_model_that_calls_them() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert read(said("user", "hi"), tools=tools).capabilities == ("tools",)
    assert read(said("user", "hi"), tools=[]).capabilities == ()
    assert read(said("user", "hi"), tools=None).capabilities == ()


def test_the_kind_of_answer_is_that_of_the_body() -> None:
    assert read(said("user", "a"), response_format={"type": "json_object"}).response_format == (
        "json_object"
    )
    assert read(said("user", "a")).response_format == ""


def test_what_is_not_asked_is_counted_apart() -> None:
    few = read(said("user", LONG)).overhead_tokens
    system = 400 * "word "
    assert read(said("system", system), said("user", LONG)).overhead_tokens >= (
        few + estimate_tokens(system)
    )
    tools = [{"type": "function", "function": {"name": "f", "description": system}}]
    assert read(said("user", LONG), tools=tools).overhead_tokens > few + estimate_tokens(system) / 2
    picture = [{"type": "image_url"}]
    assert read(said("user", picture)).overhead_tokens == few + 765


def test_what_is_not_looked_at_is_not_judged() -> None:
    message = {**said("user", "hi"), "name": 7, "extra": [None]}
    assert read(message, said("critic", "x"), temperature="hot", n=-1).asked == "hi"


def test_half_a_surrogate_pair_is_replaced() -> None:
    chat = read_chat(
        b'{"messages": [{"role": "user", "content": "a\\ud800b \\ud83d\\ude00"}]}', field="x"
    )
    assert chat.asked == "a?b 😀"


def test_half_a_pair_is_replaced_wherever_a_text_is_handed_on() -> None:
    half = "\ud800"
    chat = read(
        said("system", half),
        said("assistant", half),
        said("user", LONG),
        response_format={"type": half},
        tools=[{half: half}],
    )
    assert (chat.earlier, chat.response_format) == ("?", "?")


MALFORMED: list[tuple[bytes, str, str]] = [
    (b"", "openai_chat", "not JSON in UTF-8"),
    (b"\xff", "openai_chat", "not JSON in UTF-8"),
    (b"{", "openai_chat", "not JSON in UTF-8: Expecting property name"),
    (b"[]", "openai_chat", "must be a JSON object"),
    (b"[" * 100_000, "openai_chat", "nested too deep"),
    (b"9" * 5_000, "openai_chat", "a number with too many digits"),
    (b"{}", "openai_chat.messages", "a list of at least one message"),
    (body(), "openai_chat.messages", "a list of at least one message"),
    (b'{"messages": {}}', "openai_chat.messages", "a list of at least one message"),
    (body("hi"), "openai_chat.messages[0]", "an object with role and content"),
    (body(said("user", "a"), {"content": "b"}), "openai_chat.messages[1].role", "must be text"),
    (body(said("user", 3)), "openai_chat.messages[0].content", "text or a list of parts"),
    (body(said("user", ["a"])), "openai_chat.messages[0].content[0]", "an object with a type"),
    (body(said("user", [{"text": "a"}])), "openai_chat.messages[0].content[0]", "with a type"),
    (
        body(said("user", [{"type": "text", "text": None}])),
        "openai_chat.messages[0].content[0].text",
        "must be text",
    ),
    (body(said("user", "a"), tools={}), "openai_chat.tools", "must be a list"),
    (body(said("user", "a"), response_format="json"), "openai_chat.response_format.type", "text"),
]


@pytest.mark.parametrize(("data", "field", "words"), MALFORMED)
def test_a_malformed_body_is_refused_with_the_place(data: bytes, field: str, words: str) -> None:
    with pytest.raises(PayloadMalformed, match=words) as refused:
        read_chat(data, field="openai_chat")
    assert refused.value.field == field


def test_what_was_sent_is_not_repeated_in_an_error() -> None:
    with pytest.raises(PayloadMalformed) as refused:
        read_chat(b'{"messages": [{"role": "user", "content": "hunter2}]}', field="openai_chat")
    assert "hunter2" not in str(refused.value)


def test_a_body_of_the_largest_size_is_read_and_no_larger() -> None:
    least = len(body(said("user", "")))
    fits = body(said("user", (BYTES_MAX - least) * "x"))
    assert len(fits) == BYTES_MAX
    assert read_chat(fits, field="openai_chat").messages == 1
    with pytest.raises(PayloadTooLarge, match="send features instead") as refused:
        read_chat(fits + b" ", field="openai_chat")
    assert refused.value.field == "openai_chat"


def test_as_many_messages_as_allowed_are_read_and_no_more() -> None:
    message = {"role": "user", "content": "a"}
    assert read(*MESSAGES_MAX * [message]).messages == MESSAGES_MAX
    with pytest.raises(PayloadTooLarge, match="send features instead"):
        read(*(MESSAGES_MAX + 1) * [message])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "x"]) | json_values},
    optional={"text": st.text(max_size=9) | json_values},
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | json_values},
    optional={"content": st.text(max_size=60) | st.lists(parts, max_size=3) | json_values},
)
bodies = st.fixed_dictionaries(
    {"messages": st.lists(messages, max_size=5) | json_values},
    optional={"tools": json_values, "response_format": json_values},
)


@given(bodies)
@settings(max_examples=300)
def test_any_body_is_read_or_refused(chat: dict[str, Any]) -> None:
    read_or_refuse(json.dumps(chat).encode("utf-8", "surrogatepass"))


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refuse(data)


def read_or_refuse(data: bytes) -> None:
    with suppress(RoutingError):
        chat = read_chat(data, field="openai_chat")
        chat.asked.encode()
        chat.earlier.encode()
        assert chat.overhead_tokens > 0


def test_how_it_is_to_be_answered_and_who_asks_is_read_too() -> None:
    chat = read(said("user", LONG), stream=True, user="ada", metadata={"team": "red", "n": 1})
    assert (chat.model, chat.streams, chat.user) == ("m", True, "ada")
    assert chat.metadata == {"team": "red"}
    plain = read(said("user", LONG), model=None, stream=None, metadata=None)
    assert (plain.model, plain.streams, plain.user, plain.metadata) == ("", False, "", {})


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({"include_usage": True}, True), ({"include_usage": 1}, False), ({}, False), (None, False)],
)
def test_whether_usage_is_wanted_among_the_pieces(options: object, wanted: bool) -> None:
    assert read(said("user", LONG), stream_options=options).wants_usage is wanted


@pytest.mark.parametrize("fields", [{"model": 5}, {"stream": "yes"}])
def test_a_model_or_a_stream_that_is_something_else_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(PayloadMalformed) as refused:
        read(said("user", LONG), **fields)
    assert refused.value.field == f"openai_chat.{next(iter(fields))}"


def test_a_chat_that_is_forwarded_may_have_pictures() -> None:
    url = {"url": "data:image/png;base64," + BYTES_MAX * "A"}
    sent = body(said("user", [{"type": "image_url", "image_url": url}]))
    assert read_chat(sent, field="", bytes_max=2 * BYTES_MAX).capabilities == ("images",)
    with pytest.raises(PayloadTooLarge):
        read_chat(sent, field="")


@pytest.mark.parametrize(
    ("fields", "limit", "choices"),
    [
        ({}, None, 1),
        ({"max_tokens": 50}, 50, 1),
        ({"max_completion_tokens": 40, "max_tokens": 50, "n": 3}, 40, 3),
        ({"max_tokens": 0, "n": 0}, None, 1),
        ({"max_tokens": True, "n": "3"}, None, 1),
        ({"max_tokens": 2**70, "n": None}, None, 1),
    ],
)
def test_how_much_it_lets_be_written_is_read(
    fields: dict[str, object], limit: int | None, choices: int
) -> None:
    chat = read(said("user", LONG), **fields)
    assert (chat.output_tokens_set, chat.choices) == (limit, choices)
