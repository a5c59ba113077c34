"""Streams that are under way when a worker stops: whole within its time, and told after it."""

import asyncio
import json

import aiohttp
import openai
import pytest

from tests.server.door.front import PATIENCE_S, Front, opened

ASKED = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True}


async def begun(front: Front, http: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    """A stream whose first event is here, and whose next has to be waited for."""
    front.model.open.clear()
    response = await http.post(f"{front.base_url}/chat/completions", json=ASKED)
    assert b"Par" in await response.content.readuntil(b"\n\n")
    return response


async def test_a_stream_that_ends_within_the_time_of_a_drain_is_whole() -> None:
    async with opened() as front, aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        response = await begun(front, http)
        stopping = asyncio.create_task(front.door.stop(PATIENCE_S))
        await asyncio.sleep(0)
        front.model.open.set()
        rest = await response.content.read()
        assert b"is" in rest
        assert b"data: [DONE]" in rest
        await stopping


async def test_a_stream_that_does_not_is_told_that_it_is_broken_and_its_model_is_left() -> None:
    async with opened() as front, aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        response = await begun(front, http)
        await front.door.stop(0.0)
        told = (await response.content.read()).decode()
        error = json.loads(told.removeprefix("data: "))["error"]
        assert (error["code"], error["message"]) == (
            "STREAM_BROKEN",
            "the service stops: ask again",
        )
        assert "[DONE]" not in told
        await front.model.cancelled.wait()
        assert front.door.connections == 0


async def test_the_stock_client_raises_at_such_an_end() -> None:
    async with opened() as front, asyncio.timeout(PATIENCE_S):
        front.model.open.clear()
        async with openai.AsyncOpenAI(base_url=front.base_url, api_key="unused") as client:
            chunks = await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            await anext(chunks)
            await front.door.stop(0.0)
            with pytest.raises(openai.APIError, match="the service stops"):
                await anext(chunks)


async def test_a_reader_that_takes_nothing_is_cut_off_all_the_same() -> None:
    async with opened() as front, asyncio.timeout(PATIENCE_S):
        front.model.pieces = [b"data: " + b"x" * 60_000 + b"\n\n"] * 1_000
        reader, writer = await front.connect()
        body = json.dumps(ASKED).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await reader.readuntil(b"\r\n\r\n")
        await front.door.stop(0.0)
        assert front.door.connections == 0
        writer.close()
