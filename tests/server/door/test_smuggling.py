"""Bytes that hide one request in another, sent to the real door; proxies in front are tests/peers.

Whatever the trick: at most the first request is answered, and the connection ends.
"""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from server.door.limits import DoorLimits
from tests.server.door.front import PATIENCE_S, Front, opened
from tests.server.door.smuggling import HEAD, HIDDEN, TRICKS


class Paths:
    """Answers every request by its path, having read it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(request.raw_path)
        return web.Response(body=b"%d bytes" % len(body))


@pytest.fixture
async def paths() -> Paths:
    return Paths()


@pytest.fixture
async def front(paths: Paths) -> AsyncIterator[Front]:
    async with opened(DoorLimits(idle_s_max=0.3, head_s_max=0.3), answer=paths.answer) as front:
        yield front


def statuses(answered: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", answered)]


@pytest.mark.parametrize("sent", TRICKS)
async def test_a_hidden_request_is_never_answered(front: Front, paths: Paths, sent: bytes) -> None:
    answered = await front.exchange(sent)
    assert statuses(answered) == [400]
    assert b'"code": "REQUEST_INVALID"' in answered
    assert paths.seen == []


async def test_requests_that_are_sent_together_are_answered_in_turn(
    front: Front, paths: Paths
) -> None:
    first = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    second = HEAD.replace(b"first", b"second") + b"Content-Length: 2\r\n\r\nab"
    answered = await front.exchange(first + second + HIDDEN)
    assert statuses(answered) == [200, 200, 200]
    assert re.findall(rb"\d bytes", answered) == [b"3 bytes", b"2 bytes", b"0 bytes"]
    assert paths.seen == ["/first", "/second", "/hidden"]


async def test_what_is_wrong_behind_a_good_request_does_not_keep_its_answer_back(
    front: Front, paths: Paths
) -> None:
    good = HEAD + b"Content-Length: 2\r\n\r\nab"
    answered = await front.exchange(good + b"GET /second HTTP/1.1\nHost: a\n\n")
    assert statuses(answered) == [200, 400]
    assert paths.seen == ["/first"]


async def test_a_chunk_that_is_wrong_ends_the_request_that_it_is_of(
    front: Front, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await front.connect()
    async with asyncio.timeout(PATIENCE_S):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        while not front.door.requests:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
        writer.write(b"3;a\r\nabc\r\n0\r\n\r\n" + HIDDEN)
        answered = await reader.read()
    writer.close()
    assert b"HTTP/1.1 200" not in answered
    assert paths.seen == []
    assert "unexpected error" not in capsys.readouterr().out
