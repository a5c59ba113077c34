"""nginx and Envoy before the door for OpenAI clients: streams pass, and nothing is smuggled."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import openai
import pytest
from aiohttp import web

from benchmarks.floors.proxies import envoy_http, nginx_http
from benchmarks.sides import Side
from server.door.limits import DoorLimits
from tests.peers.proxied import running
from tests.server.door.front import PATIENCE_S, Front, event, opened
from tests.server.door.smuggling import HIDDEN, TRICKS
from tests.server.openai_service import QUESTION

pytestmark = pytest.mark.slow

Proxy = Callable[[Path, str], AbstractContextManager[Side]]
PROXIES: dict[str, Proxy] = {"envoy": envoy_http, "nginx": nginx_http}
NAMES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in PROXIES]


class Paths:
    """Answers every request by its path, having read it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request.raw_path)
        await request.read()
        return web.Response(body=b"answered")


@pytest.fixture(params=NAMES)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return PROXIES[request.param]


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        yield front


async def test_the_stock_client_streams_through_it(
    proxy: Proxy, front: Front, tmp_path: Path
) -> None:
    front.model.open.clear()
    async with (
        running(proxy(tmp_path, front.address)) as address,
        openai.AsyncOpenAI(
            base_url=f"http://{address}/v1", api_key="unused", timeout=PATIENCE_S
        ) as client,
    ):
        stream = await client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
        first = await anext(stream)  # comes before the second is made
        front.model.open.set()
        said = [first, *[chunk async for chunk in stream]]
    assert [chunk.choices[0].delta.content for chunk in said] == ["Par", "is"]


async def test_a_caller_that_leaves_is_noticed_behind_it(
    proxy: Proxy, front: Front, tmp_path: Path
) -> None:
    front.model.open.clear()
    async with running(proxy(tmp_path, front.address)) as address:
        client = openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key="unused")
        async with asyncio.timeout(PATIENCE_S):
            asking = asyncio.create_task(
                client.chat.completions.create(model="auto", messages=QUESTION)
            )
            await front.model.reached.wait()
            asking.cancel()
            await client.close()
            await front.model.cancelled.wait()


async def test_what_waits_for_its_caller_is_little(
    proxy: Proxy, front: Front, tmp_path: Path
) -> None:
    """A stream of 40 MB, whose reader takes nothing, does not fill the proxy and us."""
    piece = event(8_000 * "a")
    front.model.pieces = (piece for _ in range(5_000))
    async with running(proxy(tmp_path, front.address)) as address:
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        body = b'{"stream":true,"messages":[{"role":"user","content":"hi"}]}'
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        pulled = -1
        async with asyncio.timeout(PATIENCE_S):
            while pulled != front.model.pulled or not pulled:
                pulled = front.model.pulled
                # Only the proxy's process knows that it is full, and it tells nobody.
                await asyncio.sleep(0.3)
        writer.close()
    assert pulled < 5_000


@pytest.mark.parametrize("sent", TRICKS)
async def test_a_request_that_hides_in_another_reaches_nobody(
    proxy: Proxy, tmp_path: Path, sent: bytes
) -> None:
    """Either of the two refuses it, or both read it alike: as one request or as two."""
    paths = Paths()
    limits = DoorLimits(idle_s_max=0.5, head_s_max=0.5)
    async with (
        opened(limits, answer=paths.answer) as front,
        running(proxy(tmp_path, front.address)) as address,
    ):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        # The last ends the connection: by then nothing is on its way any more.
        writer.write(sent + HIDDEN.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        async with asyncio.timeout(PATIENCE_S):
            answered = await reader.read()
        writer.close()
        answers = len(re.findall(rb"HTTP/1\.1 200", answered))
    # What the door saw is what the caller got answers to: nothing else came in between.
    assert len(paths.seen) == answers
