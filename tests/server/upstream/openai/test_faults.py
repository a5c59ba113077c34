"""What goes wrong at an endpoint, and what dispatch is told: nothing of the prompt or a key."""

import asyncio
import gzip
import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from server.dispatch.exchange import EndpointError, EventStream
from server.status_code import Code
from server.upstream.openai.events import EVENT_BYTES_MAX
from tests.server.transport.channel.raw_peer import deaf_address
from tests.server.upstream.openai.asking import KEY, PROMPT, Asking, asking
from tests.server.upstream.openai.endpoint import (
    ANSWER,
    CHUNKS,
    DONE,
    EVENTS,
    Behaviour,
    FakeEndpoint,
    chunked,
    head,
    holding,
    refusing,
    saying,
    saying_and_leaving,
    serving,
    streaming,
    whole,
)

SAID = json.dumps(ANSWER).encode()
CHUNKED = head(content_type=EVENTS, Transfer_Encoding="chunked")
# Everything that an endpoint can quote.
QUOTED = f"cannot answer {PROMPT!r} with Bearer {KEY}"


class Fault(NamedTuple):
    behaviour: Behaviour
    whole: Code | None  # None: all is well
    streamed: Code | None


def _refusal(status: int, code: Code) -> Fault:
    return Fault(refusing(status, {"message": QUOTED, "code": "x"}), code, code)


FAULTS: dict[str, Fault] = {
    **{
        f"status {status}": _refusal(status, code)
        for status, code in {
            301: Code.UNIMPLEMENTED,
            400: Code.INVALID_ARGUMENT,
            401: Code.UNAUTHENTICATED,
            402: Code.PERMISSION_DENIED,
            403: Code.PERMISSION_DENIED,
            404: Code.NOT_FOUND,
            408: Code.DEADLINE_EXCEEDED,
            409: Code.ABORTED,
            413: Code.INVALID_ARGUMENT,
            418: Code.FAILED_PRECONDITION,
            422: Code.INVALID_ARGUMENT,
            425: Code.ABORTED,
            429: Code.RESOURCE_EXHAUSTED,
            500: Code.INTERNAL,
            502: Code.UNAVAILABLE,
            503: Code.UNAVAILABLE,
            504: Code.DEADLINE_EXCEEDED,
            529: Code.RESOURCE_EXHAUSTED,
            599: Code.UNAVAILABLE,
        }.items()
    },
    "429 without money": Fault(
        refusing(429, {"message": QUOTED, "code": "insufficient_quota"}),
        Code.PERMISSION_DENIED,
        Code.PERMISSION_DENIED,
    ),
    "a status and no body": Fault(
        saying_and_leaving(head(500, Content_Length="900")), Code.INTERNAL, Code.INTERNAL
    ),
    "garbage for a head": Fault(
        saying_and_leaving(b"\x00\xff" + QUOTED.encode()), Code.INTERNAL, Code.INTERNAL
    ),
    "a head beyond the limits": Fault(
        saying_and_leaving(whole(SAID, x_long=KEY * 1_000)), Code.INTERNAL, Code.INTERNAL
    ),
    "garbage for a body": Fault(saying(whole(QUOTED.encode())), Code.INTERNAL, Code.INTERNAL),
    "garbage for events": Fault(
        streaming(b"data: " + QUOTED.encode() + b"\n\n", DONE), Code.INTERNAL, Code.INTERNAL
    ),
    "another type": Fault(
        saying(whole(QUOTED.encode(), content_type="text/html")), Code.INTERNAL, Code.INTERNAL
    ),
    "packed though it was asked not to": Fault(
        saying(whole(gzip.compress(SAID), content_encoding="gzip")), Code.INTERNAL, Code.INTERNAL
    ),
    "closed without an answer": Fault(saying_and_leaving(b""), Code.UNAVAILABLE, Code.UNAVAILABLE),
    "cut within a head": Fault(saying_and_leaving(head()[:20]), Code.UNAVAILABLE, Code.UNAVAILABLE),
    "cut within a body": Fault(
        saying_and_leaving(whole(SAID)[:-9]), Code.UNAVAILABLE, Code.INTERNAL
    ),
    "an error before the first event": Fault(
        streaming(f"data: {json.dumps({'error': {'message': QUOTED, 'code': 500}})}\n\n".encode()),
        Code.INTERNAL,
        Code.INTERNAL,
    ),
    "an error after the first event": Fault(
        streaming(
            CHUNKS[0],
            f"data: {json.dumps({'error': {'message': QUOTED, 'code': 503}})}\n\n".encode(),
        ),
        Code.INTERNAL,
        Code.UNAVAILABLE,
    ),
    "no event at all": Fault(streaming(DONE), Code.INTERNAL, Code.INTERNAL),
    "an event without end": Fault(
        saying(CHUNKED + chunked(b"data: {" + b"x" * EVENT_BYTES_MAX)),
        Code.INTERNAL,
        Code.INTERNAL,
    ),
    "a stream without its end": Fault(streaming(*CHUNKS[:2]), Code.INTERNAL, Code.UNAVAILABLE),
    "usage missing": Fault(streaming(*CHUNKS, DONE), Code.INTERNAL, None),
    "well": Fault(saying(whole(SAID)), None, Code.INTERNAL),
}


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with serving(made):
        yield made


@pytest.fixture
async def asked(endpoint: FakeEndpoint) -> AsyncIterator[Asking]:
    async with asking(endpoint.url, {"A_KEY": KEY}, api_key_env="A_KEY") as made:
        yield made


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that any library logs, at its most talkative."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


async def take_all(stream: EventStream, pieces: list[bytes]) -> None:
    async for piece in stream.pieces:
        pieces += (bytes(piece),)


def shows_a_secret(text: str) -> bool:
    return KEY in text or PROMPT in text or "whale" in text


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_a_fault_is_told_by_its_code_and_shows_neither_prompt_nor_key(
    fault: Fault, streams: bool, endpoint: FakeEndpoint, asked: Asking, logged: io.StringIO
) -> None:
    endpoint.behaviour = fault.behaviour
    code = fault.streamed if streams else fault.whole
    if code is None:
        await (asked.streamed if streams else asked.whole)()
        return
    failed = await asked.fails(streams=streams)
    assert failed.code is code
    assert failed.is_sent
    assert failed.__cause__ is None
    assert not shows_a_secret(str(failed) + repr(failed.args) + logged.getvalue())
    assert endpoint.requests[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("cut", range(len(CHUNKS[1])))
async def test_a_stream_that_is_cut_at_any_byte_gives_what_was_whole_and_is_told_as_broken(
    cut: int, endpoint: FakeEndpoint, asked: Asking
) -> None:
    endpoint.behaviour = saying_and_leaving(
        CHUNKED + chunked(CHUNKS[0]) + chunked(CHUNKS[1])[: cut + 4]
    )
    pieces: list[bytes] = []
    with pytest.raises(EndpointError) as failed:
        await take_all(await asked.stream(), pieces)
    assert failed.value.code is Code.UNAVAILABLE
    assert b"".join(pieces) in (b"", CHUNKS[0])  # what came with the cut may be gone with it


async def test_a_connection_that_is_refused_was_never_sent_anything() -> None:
    with deaf_address() as address:
        async with asking(f"http://{address}/v1") as asked:
            failed = await asked.fails()
    assert (failed.code, failed.is_sent) == (Code.UNAVAILABLE, False)


async def test_a_name_that_does_not_resolve_was_never_sent_anything() -> None:
    async with asking("http://nobody.invalid/v1") as asked:
        failed = await asked.fails()
    assert (failed.code, failed.is_sent) == (Code.UNAVAILABLE, False)
    assert str(failed) == "cannot connect: its name does not resolve"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"])
async def test_nothing_is_sent_to_a_link_local_address(host: str) -> None:
    async with asking(f"http://{host}:80/v1") as asked:
        failed = await asked.fails()
    assert (failed.code, failed.is_sent) == (Code.UNAVAILABLE, False)
    assert "link-local" in str(failed)


async def test_who_takes_a_connection_and_says_nothing_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        async with asking(url) as asked:
            failed = await asked.fails(timeout_s=0.05)
    assert failed.code is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("said", [head()[:9], head(), whole(SAID)[:-1], CHUNKED])
async def test_who_stops_in_the_middle_is_left_in_time(
    said: bytes, endpoint: FakeEndpoint, asked: Asking
) -> None:
    endpoint.behaviour = holding(said)
    streams = said == CHUNKED
    failed = await asked.fails(streams=streams, timeout_s=0.1)
    assert failed.code is Code.DEADLINE_EXCEEDED


async def test_a_redirect_is_not_followed(endpoint: FakeEndpoint, asked: Asking) -> None:
    other = FakeEndpoint()
    async with serving(other):
        endpoint.behaviour = saying(whole(b"", 307, location=other.url + "/chat/completions"))
        assert (await asked.fails()).code is Code.UNIMPLEMENTED
    assert other.requests == []


async def test_a_proxy_in_the_environment_is_not_used(
    endpoint: FakeEndpoint, asked: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await asked.whole()
    assert len(endpoint.requests) == 1


async def test_no_cookie_is_kept(endpoint: FakeEndpoint, asked: Asking) -> None:
    endpoint.behaviour = saying(whole(SAID, set_cookie="a=b"))
    for _ in range(2):
        await asked.whole()
    assert "cookie" not in endpoint.requests[1].headers


async def test_a_cancelled_call_closes_its_connection(
    endpoint: FakeEndpoint, asked: Asking
) -> None:
    endpoint.behaviour = holding()
    call = asyncio.create_task(asked.whole())
    await endpoint.reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(10):
        await endpoint.left.wait()


async def test_a_stream_that_is_left_closes_its_connection(
    endpoint: FakeEndpoint, asked: Asking
) -> None:
    endpoint.behaviour = holding(CHUNKED + chunked(CHUNKS[0]))
    stream = await asked.stream()
    assert await anext(stream.pieces) == CHUNKS[0]
    await stream.pieces.aclose()
    async with asyncio.timeout(10):
        await endpoint.left.wait()
