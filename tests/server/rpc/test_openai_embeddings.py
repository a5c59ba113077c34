"""What routing reads of an embeddings body."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.errors import PayloadMalformed, PayloadTooLarge, RoutingError
from server.rpc.openai_chat import Chat
from server.rpc.openai_embeddings import INPUTS_MAX, read_embeddings


def read(value: object, **fields: object) -> Chat:
    body = json.dumps({"model": "m", "input": value, **fields}).encode()
    return read_embeddings(body, field="body")


def test_texts_are_what_is_asked() -> None:
    assert read("a cat").asked == "a cat"
    assert read(["a cat", "a dog"]).asked == "a cat\na dog"


@pytest.mark.parametrize(("value", "tokens"), [([1, 2, 3], 3), ([[1, 2], [3]], 3), ("cat", 0)])
def test_tokens_are_counted(value: object, tokens: int) -> None:
    assert read(value).overhead_tokens == tokens


def test_of_long_texts_the_beginning_is_read_and_the_rest_is_counted() -> None:
    read_of = read(["a cat " * 2_000, "a dog"])
    assert len(read_of.asked) < 5_000
    assert read_of.overhead_tokens > 1_000


def test_who_asks_is_read_too() -> None:
    asked = read("a", user="ada", metadata={"app": "x"}, stream=True)
    assert (asked.model, asked.user, asked.metadata) == ("m", "ada", {"app": "x"})
    assert not asked.streams


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "body.input"),
        ([], "body.input"),
        (5, "body.input"),
        (["a", 5], "body.input[1]"),
        ([[1], []], "body.input[1]"),
        ([["a"]], "body.input[0]"),
        ([True], "body.input[0]"),
    ],
)
def test_what_is_no_input_is_refused_with_its_place(value: object, field: str) -> None:
    with pytest.raises(PayloadMalformed) as refused:
        read(value)
    assert refused.value.field == field


def test_inputs_have_a_limit() -> None:
    assert read(INPUTS_MAX * ["a"]).asked
    with pytest.raises(PayloadTooLarge):
        read((INPUTS_MAX + 1) * ["a"])


def test_a_body_has_a_limit() -> None:
    with pytest.raises(PayloadTooLarge):
        read_embeddings(b" " * 11, field="body", bytes_max=10)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda values: st.lists(values, max_size=4),
        max_leaves=20,
    )
)
def test_any_input_is_read_or_refused(value: object) -> None:
    with suppress(RoutingError):
        read(value)
