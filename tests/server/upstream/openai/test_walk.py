"""A large body is walked in stretches, and comes to what a small one comes to at once."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.upstream.openai.top_level import DEPTH_MAX, MEMBERS_MAX, Malformed, members
from server.upstream.openai.walk import STRETCH_BYTES, Walk, found_members

texts = st.text(max_size=12)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(texts, values, max_size=6)


def walked(body: bytes, stretch_bytes: int) -> list[object]:
    walk = Walk(body, stretch_bytes=stretch_bytes)
    for _ in walk.stretches():
        pass
    return list(walk.found)


@given(objects, st.integers(1, 40), st.sampled_from([None, 2]), st.booleans())
def test_it_finds_what_is_found_at_once_wherever_stretches_end(
    value: dict[str, Any], stretch_bytes: int, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert walked(body, stretch_bytes) == list(members(body))


@given(objects, st.integers(1, 40), st.data())
def test_what_is_cut_short_is_no_object(
    value: dict[str, Any], stretch_bytes: int, data: st.DataObject
) -> None:
    body = json.dumps(value).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(Malformed):
        walked(body[:cut], stretch_bytes)


@pytest.mark.parametrize("body", [b"[]", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{} x", b'{"a":1 2}'])
def test_what_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        walked(body, 4)


def test_levels_and_keys_are_bounded() -> None:
    with pytest.raises(Malformed, match="nested deeper"):
        walked(b'{"a":' + b"[" * 3 * DEPTH_MAX + b"]" * 3 * DEPTH_MAX + b"}", 8)
    many = json.dumps({f"k{n}": n for n in range(MEMBERS_MAX + 1)}).encode()
    with pytest.raises(Malformed, match="more than 1,000 keys"):
        walked(many, STRETCH_BYTES)


LARGE = {
    "a picture": json.dumps({"messages": [{"content": "x" * 4_000_000}], "n": 1}),
    "lines": json.dumps({"messages": [{"content": "a line\n" * 500_000}], "n": 1}),
    "numbers": json.dumps({"input": list(range(500_000)), "n": 1}),
    "messages": json.dumps({"messages": [{"content": "hi"}] * 200_000, "n": 1}),
    "spaces": json.dumps({"n": 1}).replace(":", ":" + " " * 4_000_000),
}


@pytest.mark.parametrize("text", LARGE.values(), ids=list(LARGE))
def test_no_stretch_looks_at_more_than_twice_its_bytes(text: str) -> None:
    walk = Walk(text.encode())
    turns = list(walk.stretches())
    assert max(turns) <= 2 * STRETCH_BYTES
    assert len(turns) >= len(text) // (2 * STRETCH_BYTES)
    assert walk.found == list(members(text.encode()))


async def test_others_have_their_turns_meanwhile() -> None:
    body = LARGE["messages"].encode()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert [one.key for one in await found_members(body)] == [b"messages", b"n"]
    beside.cancel()
    assert turns >= len(body) // (2 * STRETCH_BYTES)
