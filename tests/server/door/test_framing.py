"""Where requests end, and what is refused for parsers could differ about it; no sockets."""

import itertools
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.door.framing import Framing, FramingError, HeadTooLarge, TooFarAhead

POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
SIZED = POST + b"Content-Length: 5\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def framing(*, head_bytes_max: int = 1_000, ahead_bytes_max: int = 100) -> Framing:
    return Framing(head_bytes_max=head_bytes_max, ahead_bytes_max=ahead_bytes_max)


def requests_of(pieces: Sequence[bytes]) -> list[bytes]:
    """Each as the parser sees it; the next is asked for as soon as one is complete."""
    made, seen = framing(head_bytes_max=4_000, ahead_bytes_max=4_000), [b""]
    for piece in pieces:
        seen[-1] += made.receive(piece)
        while made.is_complete:
            seen.append(made.next())
    return seen[:-1] if not seen[-1] else seen


@pytest.mark.parametrize(
    "request_",
    [
        SIZED + b"12345",
        CHUNKED + b"5\r\n12345\r\n0\r\n\r\n",
        CHUNKED + b"5\r\n12345\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"GET /v1/models?a=b HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\n\r\n",
        POST + b"Content-Length:0\r\nX-A:\t b \r\nX-A: c\r\nx-empty:\r\n\r\n",
    ],
)
def test_a_request_is_passed_on_as_it_came(request_: bytes) -> None:
    assert requests_of([request_]) == [request_]


@given(st.lists(st.integers(0, 400), max_size=20))
def test_requests_are_told_apart_however_they_are_cut(cuts: list[int]) -> None:
    one, other = CHUNKED + b"5\r\n12345\r\n0\r\n\r\n", SIZED + b"12345"
    sent = one + other + one
    bounds = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [sent[a:b] for a, b in itertools.pairwise(bounds)]
    assert requests_of([piece for piece in pieces if piece]) == [one, other, one]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "beside a length"),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "beside a length"),
        (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "content-length is given twice"),
        (POST + b"Content-Length: 5\r\ncontent-length: 6\r\n\r\n", "content-length is given twice"),
        (POST + b"Content-Length: 5, 5\r\n\r\n", "content-length is no number"),
        (POST + b"Content-Length: +5\r\n\r\n", "content-length is no number"),
        (POST + b"Content-Length: -1\r\n\r\n", "content-length is no number"),
        (POST + b"Content-Length: 0x5\r\n\r\n", "content-length is no number"),
        (POST + b"Content-Length: \r\n\r\n", "content-length is no number"),
        (POST + b"Content-Length: 9999999999999999\r\n\r\n", "content-length is no number"),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "something else than chunked"),
        (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", "something else than chunked"),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n", "something else than chunked"),
        (
            POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "transfer-encoding is given twice",
        ),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "in HTTP/1.0"),
        (POST + b"Transfer-Encoding : chunked\r\n\r\n", "no request of HTTP/1.1"),
        (POST + b"Transfer-Encoding\x0b: chunked\r\n\r\n", "no request of HTTP/1.1"),
        (POST + b"X: a\r\n folded\r\n\r\n", "folded"),
        (POST + b"X: a\r\n\tContent-Length: 5\r\n\r\n", "folded"),
        (POST + b"X: a\nContent-Length: 5\r\n\r\n", "without CR LF"),
        (POST + b"X: a\rContent-Length: 5\r\n\r\n", "without CR LF"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "without CR"),
        (POST + b"X: a\0b\r\n\r\n", "no request of HTTP/1.1"),
        (POST + b": a\r\n\r\n", "no request of HTTP/1.1"),
        (b"\r\n" + SIZED, "no request of HTTP/1.1"),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "host is missing"),
        (POST + b"Host: b\r\n\r\n", "host is given twice"),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "no request of HTTP/1.1"),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "no request of HTTP/1.1"),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "no request of HTTP/1.1"),
        (b"GET /\r\n\r\n", "no request of HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no request of HTTP/1.1"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "no request of HTTP/1.1"),
        (POST + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n", "websockets"),
        (CHUNKED + b"5;a=b\r\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"5 \r\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"+5\r\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"0x5\r\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"\r\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"5\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"000000005\r\n12345\r\n0\r\n\r\n", "size of a chunk"),
        (CHUNKED + b"fffffffffffffffff\r\n", "size of a chunk"),
        (CHUNKED + b"5\r\n123456\r\n0\r\n\r\n", "longer than its size"),
        (CHUNKED + b"5\r\n12345\n0\r\n\r\n", "longer than its size"),
        (CHUNKED + b"0\r\nX-Trailer: a\r\n\r\n", "trailers"),
    ],
)
def test_what_parsers_may_differ_about_is_refused(sent: bytes, says: str) -> None:
    with pytest.raises(FramingError, match=says):
        requests_of([sent])


@given(st.binary(max_size=300) | st.text(":\r\n 0AGET/HTP1.", max_size=60).map(str.encode))
def test_anything_at_all_is_a_request_or_refused(sent: bytes) -> None:
    with suppress(FramingError):
        requests_of([CHUNKED, sent])


def test_what_comes_ahead_of_an_answer_waits_for_it() -> None:
    made = framing()
    assert made.receive(SIZED + b"12345" + SIZED[:-2]) == SIZED + b"12345"
    assert made.is_complete
    assert made.receive(b"\r\n123") == b""
    assert made.next() == SIZED + b"123"
    assert not made.is_complete
    assert made.receive(b"45") == b"45"
    assert made.is_complete


def test_what_comes_ahead_of_an_answer_has_a_limit() -> None:
    made = framing(ahead_bytes_max=10)
    made.receive(SIZED + b"12345" + b"GET / HTTP")
    with pytest.raises(TooFarAhead):
        made.receive(b"/")


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_has_a_limit_whether_it_ends_or_not(end: bytes) -> None:
    made = framing(head_bytes_max=100)
    line = b"GET / HTTP/1.1\r\nhost: a\r\nx: "
    made.receive(line + (100 - len(line)) * b"a")
    with pytest.raises(HeadTooLarge):
        made.receive(b"a" + end)


def test_a_large_body_is_passed_on_piece_by_piece_and_not_kept() -> None:
    made = framing()
    made.receive(POST + b"Content-Length: 1000000\r\n\r\n")
    piece = bytes(250_000)
    for _ in range(4):
        assert made.receive(piece) is piece
    assert made.is_complete


def test_what_is_wrong_is_said_without_what_was_sent() -> None:
    with pytest.raises(FramingError) as refused:
        framing().receive(POST + b"authorization: Bearer s3cret\r\nbad line\r\n\r\n")
    assert "s3cret" not in str(refused.value)
