"""What a caller hears of an endpoint that it cannot reach, and when it is tried again."""

import asyncio
from collections.abc import Iterator

import pytest

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed
from tests.server.transport.channel.calling import (
    PATH,
    PATIENT,
    begun,
    channel_to,
    failure,
)
from tests.server.transport.channel.raw_peer import (
    PATIENCE_S,
    Listening,
    deaf_address,
)


@pytest.fixture
def deaf() -> Iterator[str]:
    with deaf_address() as address:
        yield address


async def test_a_refused_connection_is_told_at_once(deaf: str) -> None:
    channel = Channel(deaf)
    failed = await failure(begun(channel))
    assert failed.code is Code.UNAVAILABLE
    assert "cannot be reached" in str(failed)
    await channel.close()


async def test_until_the_next_attempt_calls_fail_without_one(deaf: str) -> None:
    channel = Channel(deaf, chance=lambda: 0.5)
    first = await failure(begun(channel))
    second = await failure(begun(channel))
    assert (second.code, str(second)) == (first.code, str(first))
    await channel.close()


async def test_a_caller_who_tries_again_at_once_lets_others_run(deaf: str) -> None:
    channel = Channel(deaf, chance=lambda: 0.5)
    await failure(begun(channel))
    others = asyncio.Event()
    asyncio.get_running_loop().call_soon(others.set)
    with pytest.raises(CallFailed):
        await channel.unary(PATH, b"x", timeout_s=PATIENCE_S)
    assert others.is_set()
    await channel.close()


async def test_a_socket_that_is_not_there_is_told(tmp_path: object) -> None:
    channel = Channel(f"unix:{tmp_path}/model.sock")
    assert (await failure(begun(channel))).code is Code.UNAVAILABLE
    await channel.close()


async def test_a_host_that_is_no_name_is_told() -> None:
    channel = Channel("a..b:80")
    assert (await failure(begun(channel))).code is Code.UNAVAILABLE
    await channel.close()


async def test_a_look_up_that_fails_after_it_was_given_up_is_nobodys_error() -> None:
    channel = Channel("nowhere.invalid:80", limits=ChannelLimits(connect_s=0.0))
    assert (await failure(begun(channel))).code is Code.UNAVAILABLE
    for _ in range(3):  # that began later, and so end later
        with pytest.raises(OSError, match=r"\w"):
            await asyncio.get_running_loop().getaddrinfo("nowhere.invalid", 80)
    await channel.close()


async def test_an_endpoint_that_accepts_but_never_speaks_is_told(server: Listening) -> None:
    async with channel_to(server, ChannelLimits(connect_s=0.05)) as channel:
        failed = await failure(begun(channel))
        assert failed.code is Code.UNAVAILABLE
        assert "in time" in str(failed)
        assert channel.limits_reached == {"connect": 1}


async def test_a_peer_that_speaks_another_protocol_is_told(
    channel: Channel, server: Listening
) -> None:
    call = begun(channel)
    peer = await server.accept()
    peer.writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    assert (await failure(call)).code is Code.UNAVAILABLE
    assert await peer.ended()


async def test_a_peer_that_hangs_up_at_once_does_not_use_up_the_connections(
    server: Listening,
) -> None:
    async with channel_to(server, PATIENT._replace(connections=1)) as channel:
        call = begun(channel)
        (await server.accept()).writer.transport.abort()
        assert (await failure(call)).code is Code.UNAVAILABLE
        accepted = asyncio.create_task(server.accept())
        while not accepted.done():  # calls fail until it is time for another attempt
            call = begun(channel)
            await asyncio.wait([call, accepted], return_when=asyncio.FIRST_COMPLETED)
            if not accepted.done():
                assert (await failure(call)).code is Code.UNAVAILABLE
        peer = await accepted
        await peer.greet()
        peer.answer((await peer.request())[0], b"well")
        assert await call == b"well"


async def test_a_peer_that_greets_and_leaves_is_not_called_without_rest(
    channel: Channel, server: Listening
) -> None:
    call = begun(channel)
    peer = await server.greeted(streams=0)
    waiting = await server.accept()  # the client has read that there is no room on the first
    peer.writer.transport.abort()
    waiting.writer.transport.abort()
    assert (await failure(call)).code is Code.UNAVAILABLE


async def test_a_connection_is_made_once_for_calls_that_come_together(
    channel: Channel, server: Listening
) -> None:
    calls = [begun(channel) for _ in range(3)]
    peer = await server.greeted()
    for _ in calls:
        stream_id, request = await peer.request()
        peer.answer(stream_id, request)
    assert await asyncio.gather(*calls) == [b"x"] * 3
    assert len(server.peers) == 1
