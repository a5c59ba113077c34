"""How a channel is closed, and that nothing is left of it."""

import asyncio

import pytest

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import NeverSent
from tests.server.transport.channel.calling import (
    PATH,
    PATIENT,
    answered,
    begun,
    failure,
    under_way,
)
from tests.server.transport.channel.raw_peer import (
    HEADERS,
    PATIENCE_S,
    Listening,
)


async def test_a_closed_channel_leaves_no_connection_and_takes_no_call(
    server: Listening,
) -> None:
    channel = Channel(server.address, limits=PATIENT)
    await answered(channel, server)
    await channel.close()
    assert await server.peers[0].ended()
    assert (await failure(begun(channel))).code is Code.UNAVAILABLE


async def test_closing_waits_for_calls_that_are_out(server: Listening) -> None:
    channel = Channel(server.address, limits=PATIENT)
    call, peer, stream_id = await under_way(channel, server)
    closing = asyncio.create_task(channel.close(PATIENCE_S))
    await asyncio.sleep(0)
    assert not closing.done()
    peer.answer(stream_id, b"well")
    assert await call == b"well"
    await closing


async def test_closing_does_not_outlast_calls_that_waited_for_a_stream(server: Listening) -> None:
    channel = Channel(server.address, limits=PATIENT._replace(connections=1))
    call = begun(channel, timeout_s=0.1)
    await server.greeted(streams=0)
    async with asyncio.timeout(PATIENCE_S):
        closing = asyncio.create_task(channel.close(1_000 * PATIENCE_S))
        assert (await failure(call)).code is Code.DEADLINE_EXCEEDED
        await closing


async def test_closing_does_not_outlast_a_connection_that_breaks(server: Listening) -> None:
    channel = Channel(server.address, limits=PATIENT)
    call, peer, _ = await under_way(channel, server)
    async with asyncio.timeout(PATIENCE_S):
        closing = asyncio.create_task(channel.close(1_000 * PATIENCE_S))
        peer.writer.transport.abort()
        assert (await failure(call)).code is Code.UNAVAILABLE
        await closing


async def test_closing_does_not_outlast_calls_that_no_connection_came_about_for(
    server: Listening,
) -> None:
    channel = Channel(server.address, limits=PATIENT)
    call = begun(channel)
    peer = await server.accept()
    async with asyncio.timeout(PATIENCE_S):
        closing = asyncio.create_task(channel.close(1_000 * PATIENCE_S))
        peer.writer.transport.abort()
        assert (await failure(call)).code is Code.UNAVAILABLE
        await closing


async def test_closing_again_at_once_ends_what_was_given_time(server: Listening) -> None:
    channel = Channel(server.address, limits=PATIENT)
    call, _, _ = await under_way(channel, server)
    async with asyncio.timeout(PATIENCE_S):
        patient = asyncio.create_task(channel.close(1_000 * PATIENCE_S))
        await asyncio.sleep(0)
        await channel.close()
        await patient
    assert (await failure(call)).code is Code.CANCELLED


@pytest.mark.parametrize("turns", range(10))
async def test_closing_loses_no_call_that_the_peer_refuses_meanwhile(
    server: Listening, turns: int
) -> None:
    channel = Channel(server.address, limits=PATIENT)
    out, waits = begun(channel), begun(channel)
    peer = await server.greeted(streams=1)
    await peer.request()
    await server.accept()  # the second connection, which never speaks
    closing = asyncio.create_task(channel.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    peer.goaway(0)
    assert (await failure(out)).code is Code.CANCELLED
    assert (await failure(waits)).code is Code.CANCELLED
    await closing


async def test_a_call_that_waits_again_because_its_peer_refused_it_has_been_sent(
    server: Listening,
) -> None:
    channel = Channel(server.address, limits=PATIENT)
    out, waits = begun(channel), begun(channel)
    peer = await server.greeted(streams=1)
    await peer.request()
    await server.accept()  # the second connection, which never speaks
    peer.goaway(0)
    assert await peer.ended()
    await channel.close()
    assert not isinstance(await failure(out), NeverSent)
    assert isinstance(await failure(waits), NeverSent)


async def test_closing_cancels_calls_that_outlast_the_grace(server: Listening) -> None:
    channel = Channel(server.address, limits=PATIENT)
    out, waits = begun(channel), begun(channel)
    peer = await server.greeted(streams=1)
    await peer.request()
    await server.accept()  # the second connection, which never speaks
    await channel.close(0.05)
    assert (await failure(out)).code is Code.CANCELLED
    assert (await failure(waits)).code is Code.CANCELLED


async def test_a_call_that_is_cancelled_as_it_fails_leaves_no_failure_behind(
    server: Listening,
) -> None:
    channel = Channel(server.address, limits=PATIENT)
    call = channel.unary(PATH, b"", timeout_s=0.01)
    answer = call.send(None)  # as a servicer's first step, before it has a task
    await asyncio.wait((answer,))
    with pytest.raises(asyncio.CancelledError):
        call.throw(asyncio.CancelledError)
    await channel.close()


async def test_nothing_is_left_of_a_closed_channel(server: Listening) -> None:
    before = asyncio.all_tasks()
    channel = Channel(server.address, limits=PATIENT)
    calls = [begun(channel) for _ in range(10)]
    peer = await server.greeted(streams=4)
    await peer.request()
    await channel.close()
    for call in calls:
        await failure(call)
    assert asyncio.all_tasks() == before
    assert await peer.ended()


async def test_a_peer_that_does_not_read_cannot_hold_a_channel_open(server: Listening) -> None:
    channel = Channel(server.address, limits=PATIENT._replace(goodbye_s=0.05))
    call = begun(channel, bytes(8 * 2**20))
    peer = await server.greeted(window=2**31 - 1)
    peer.open_window(0, 2**30)
    await peer.frame(HEADERS)
    peer.pause_reading()
    await channel.close()
    assert (await failure(call)).code is Code.CANCELLED
