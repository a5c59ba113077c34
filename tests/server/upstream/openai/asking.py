"""A model of OpenAI's protocol, and how tests ask its endpoints."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from server.dispatch.exchange import Asked, EndpointError, EventStream, Operation, Reply
from server.routing.catalog import Model, compile_catalog
from server.upstream.openai.upstream import OpenAiUpstream
from tests.server.routing.configs import config, model

PROMPT = "the launch code of the whale is plankton"
BODY = b'{"model": "auto", "messages": [{"role": "user", "content": "%s"}]}' % PROMPT.encode()
KEY = "sk-planted-0123456789abcdef"


def compiled(**changes: Any) -> Model:
    changed = {"protocol": "openai", "endpoints": [], "upstream_name": "m-1"} | changes
    return compile_catalog(config(model("chat", **changed))).models[0]


class Asking(NamedTuple):
    """One model at one endpoint."""

    upstream: OpenAiUpstream
    model: Model
    url: str

    async def whole(self, *, timeout_s: float = 20) -> Reply:
        asked = Asked(BODY, Operation.CHAT)
        return await self.upstream.open_exchange(self.url, self.model, asked, timeout_s, ())

    async def stream(self, *, timeout_s: float = 20, wants_usage: bool = False) -> EventStream:
        asked = Asked(BODY, Operation.CHAT, streams=True, wants_usage=wants_usage)
        return await self.upstream.open_stream(self.url, self.model, asked, timeout_s, ())

    async def streamed(self, *, timeout_s: float = 20) -> bytes:
        """All of a stream."""
        stream = await self.stream(timeout_s=timeout_s)
        return b"".join([bytes(piece) async for piece in stream.pieces])

    async def fails(self, *, streams: bool = False, timeout_s: float = 20) -> EndpointError:
        with pytest.raises(EndpointError) as failed:
            await (self.streamed if streams else self.whole)(timeout_s=timeout_s)
        return failed.value


@asynccontextmanager
async def asking(
    url: str,
    environ: Mapping[str, str] | None = None,
    now_s: Callable[[], float] | None = None,
    **changes: Any,
) -> AsyncIterator[Asking]:
    """Asks the endpoint for a model of this configuration."""
    upstream = OpenAiUpstream(environ or {}, now_s=now_s or asyncio.get_running_loop().time)
    asked = replace(compiled(**changes), endpoints=(url,))
    upstream.track([asked])
    try:
        yield Asking(upstream, asked, url)
    finally:
        await upstream.close()
