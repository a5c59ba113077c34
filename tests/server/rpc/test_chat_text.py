"""Texts as chats of one message, and what is said in the answers to them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.errors import PayloadTooLarge
from server.rpc.chat_text import TEXT_BYTES_MAX, Said, chat_of, chunks, said

texts = st.text(st.characters(codec="utf-8"))
datas = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)


@given(texts)
def test_a_text_is_the_one_message_of_its_chat(text: str) -> None:
    assert json.loads(chat_of(text)) == {"messages": [{"role": "user", "content": text}]}


def test_a_text_beyond_the_limit_is_refused() -> None:
    chat_of("x" * TEXT_BYTES_MAX)
    with pytest.raises(PayloadTooLarge) as refused:
        chat_of("x" * (TEXT_BYTES_MAX + 1))
    assert refused.value.field == "text"


@given(st.lists(datas), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["data: ", "data:"]))
def test_each_event_has_its_data_however_its_lines_end(
    events: list[str], end: str, name: str
) -> None:
    sent = [event for event in events if not (name == "data:" and event.startswith(" "))]
    piece = "".join(f"{name}{event}{end}{end}" for event in sent).encode()
    assert list(chunks(piece)) == [event.encode() for event in sent]


def test_what_is_no_data_is_passed_over() -> None:
    piece = b": a comment\n\nevent: x\nid: 7\ndata: {\ndata: }\n\n"
    assert list(chunks(memoryview(piece))) == [b"{\n}"]


@given(st.binary())
def test_what_says_nothing_says_nothing(body: bytes) -> None:
    assert said(body) == Said()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda values: st.lists(values) | st.dictionaries(texts, values),
)


@given(json_values, json_values)
def test_an_answer_of_any_shape_is_read_without_an_error(message: object, reason: object) -> None:
    choice = {"message": message, "finish_reason": reason}
    found = said(json.dumps({"choices": [choice]}).encode())
    assert found.finish_reason == (reason if isinstance(reason, str) else "")
    content = message.get("content") if isinstance(message, dict) else None
    assert found.text == (content if isinstance(content, str) else "")


def test_half_a_character_is_replaced_for_no_message_can_carry_it() -> None:
    body = b'{"choices": [{"delta": {"content": "\\ud83d"}}]}'
    assert said(body, "delta") == Said("?", "")
