"""A stream cut into runs of whole events, wherever its bytes are split."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.token_usage import TokenUsage
from server.upstream.openai.events import EVENT_BYTES_MAX, EventCutter, EventTooLong

USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


def chunk(text: str, **more: object) -> bytes:
    event = {"choices": [{"index": 0, "delta": {"content": text}}], **more}
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'

texts = st.text() | st.sampled_from(["[DONE]", '"usage":{', "error", "data: x\n\n", "\r\n"])
events = (
    texts.map(chunk)
    | texts.map(lambda text: chunk(text, usage=None))
    | texts.map(lambda text: chunk(text, usage={"prompt_tokens": 1, "completion_tokens": 1}))
    | st.sampled_from(
        [
            USAGE,
            FINISH,
            b": still here\n\n",
            b"event: ping\n\n",
            b"id: 1\ndata: {}\n\n",
            b"\n",
            b'data: {"error":{"code":503}}\n\n',
            b"data: no json\n\n",
        ]
    )
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """The bytes of a stream, and where they are split."""
    parts = draw(st.lists(events, max_size=6))
    if draw(st.booleans()):
        parts.append(DONE)
    data = b"".join(parts)
    if draw(st.booleans()):
        data = data.replace(b"\n", b"\r\n")
    data += draw(st.sampled_from([b"", b"data: {", b"data: [DONE]", b"data: [DONE]\n"]))
    return data, sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))


def fed(cutter: EventCutter, pieces: Sequence[bytes]) -> bytes:
    out = b""
    for piece in pieces:
        if piece and not cutter.is_over:
            out += cutter.feed(piece)
    return out


def told(cutter: EventCutter) -> tuple[object, ...]:
    return cutter.usage, cutter.is_over, cutter.error, cutter.ends_well()


@given(stream=streams(), wants_usage=st.booleans())
def test_any_split_of_the_bytes_gives_the_same(
    stream: tuple[bytes, list[int]], wants_usage: bool
) -> None:
    data, cuts = stream
    whole, split = (EventCutter(wants_usage=wants_usage) for _ in range(2))
    ends = [0, *cuts, len(data)]
    pieces = [data[a:b] for a, b in pairwise(ends)]
    by_one = EventCutter(wants_usage=wants_usage)
    out = fed(whole, [data])
    assert fed(split, pieces) == out
    assert fed(by_one, [data[i : i + 1] for i in range(len(data))]) == out
    assert told(whole) == told(split) == told(by_one)


@given(parts=st.lists(texts.map(chunk), min_size=1))
def test_events_go_on_byte_for_byte(parts: list[bytes]) -> None:
    data = b"".join(parts)
    cutter = EventCutter(wants_usage=False)
    assert fed(cutter, [data + DONE]) == data
    assert cutter.ends_well()


@pytest.mark.parametrize("cut", range(len(chunk("né")) + 1))
def test_an_event_that_is_cut_at_any_byte_goes_on_whole_or_not_at_all(cut: int) -> None:
    event = chunk("né")
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(event[:cut]) == (event if cut == len(event) else b"")
    assert not cutter.ends_well()


def test_every_run_ends_with_an_event() -> None:
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(chunk("a") + b"data: {") == chunk("a")
    assert cutter.feed(b'"choices":[]}\n\n') == b'data: {"choices":[]}\n\n'


def test_usage_is_withheld_from_who_did_not_ask_and_known_all_the_same() -> None:
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(chunk("a") + USAGE + DONE) == chunk("a")
    assert cutter.usage == TokenUsage(input=3, output=2)


def test_usage_goes_to_who_asked_for_it() -> None:
    cutter = EventCutter(wants_usage=True)
    assert cutter.feed(FINISH + USAGE + DONE) == FINISH + USAGE


def test_usage_beside_an_answer_is_not_withheld() -> None:
    event = chunk("a", usage={"prompt_tokens": 1, "completion_tokens": 1})
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(event) == event
    assert cutter.usage == TokenUsage(input=1, output=1)


def test_the_mark_of_the_end_is_no_event_and_nothing_follows_it() -> None:
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(chunk("[DONE]") + DONE + chunk("more")) == chunk("[DONE]")
    assert cutter.is_over


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"no","code":500}}\n\n',
        b'data: {"error":"no"}\n\n',
        b'event: error\ndata: {"message":"no"}\n\n',
        b'error: {"code":500}\n\n',
    ],
)
def test_an_error_ends_the_stream_and_is_not_passed_on(event: bytes) -> None:
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(chunk("a") + event + chunk("b")) == chunk("a")
    assert cutter.is_over
    assert cutter.error
    assert not cutter.ends_well()


def test_a_comment_is_no_part_of_the_answer() -> None:
    cutter = EventCutter(wants_usage=False)
    assert cutter.feed(b": hello\n\n" + chunk("a") + b": hello\n\n") == chunk("a")


@pytest.mark.parametrize(
    ("data", "ends_well"),
    [
        (chunk("a"), False),
        (chunk("a") + FINISH, True),  # of servers that send no mark
        (chunk("a") + USAGE, True),
        (chunk("a") + b"data: [DONE]", True),
        (chunk("a") + FINISH + chunk("b"), False),
        (b"", False),
    ],
)
def test_a_stream_ends_well_by_its_mark_its_reason_or_its_usage(
    data: bytes, ends_well: bool
) -> None:
    cutter = EventCutter(wants_usage=False)
    fed(cutter, [data])
    assert cutter.ends_well() == ends_well


@pytest.mark.parametrize("piece", [EVENT_BYTES_MAX + 1, 1_000])
def test_an_event_may_be_so_long_and_no_longer(piece: int) -> None:
    data = b"data: " + b"x" * (EVENT_BYTES_MAX - 6)
    pieces = [data[i : i + piece] for i in range(0, len(data), piece)]
    cutter = EventCutter(wants_usage=False)
    assert fed(cutter, pieces) == b""
    with pytest.raises(EventTooLong):
        cutter.feed(b"x")
