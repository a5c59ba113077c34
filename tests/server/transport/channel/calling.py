"""Calls of a channel to an endpoint by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.transport.channel.channel import Channel
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed
from server.transport.grpc.metadata import Metadata
from tests.server.transport.channel.raw_peer import (
    PATIENCE_S,
    Listening,
    Peer,
)

PATH = "/a.B/C"
PATIENT = ChannelLimits(connect_s=PATIENCE_S)


@asynccontextmanager
async def channel_to(server: Listening, limits: ChannelLimits = PATIENT) -> AsyncIterator[Channel]:
    channel = Channel(server.address, limits=limits, chance=lambda: 0.5)
    yield channel
    await channel.close()


def begun(
    channel: Channel, request: bytes = b"x", timeout_s: float = PATIENCE_S, metadata: Metadata = ()
) -> asyncio.Task[bytes]:
    async def call() -> bytes:
        return bytes(await channel.unary(PATH, request, timeout_s=timeout_s, metadata=metadata))

    return asyncio.create_task(call())


async def failure(call: asyncio.Task[bytes]) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await call
    return failed.value


async def under_way(channel: Channel, server: Listening) -> tuple[asyncio.Task[bytes], Peer, int]:
    """A call on a connection of its own, the peer that has read its request, and its stream."""
    call = begun(channel)
    peer = await server.greeted()
    stream_id, _ = await peer.request()
    return call, peer, stream_id


async def answered(channel: Channel, server: Listening) -> None:
    """Makes a call on a connection of its own."""
    call, peer, stream_id = await under_way(channel, server)
    peer.answer(stream_id, b"well")
    assert await call == b"well"
