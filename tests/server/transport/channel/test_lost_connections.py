"""Connections that break or end: what becomes of their calls, and of the next ones."""

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from server.transport.limit_names import CHANNEL_LIMITS
from tests.server.transport.channel.calling import answered, begun, failure, under_way
from tests.server.transport.channel.raw_peer import (
    DATA,
    GOAWAY,
    PING,
    Listening,
)


async def test_a_reset_connection_fails_its_calls_and_the_next_call_makes_another(
    channel: Channel, server: Listening
) -> None:
    calls = [begun(channel), begun(channel)]
    peer = await server.greeted()
    await peer.request()
    peer.writer.transport.abort()
    for call in calls:
        assert (await failure(call)).code is Code.UNAVAILABLE
    await answered(channel, server)


async def test_an_answer_that_breaks_off_fails_its_call(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    peer.send(DATA, 0, stream_id, b"\0\0\0\0\x09half")
    peer.writer.close()
    assert (await failure(call)).code is Code.UNAVAILABLE


async def test_a_connection_error_of_the_peer_is_answered_and_the_next_call_makes_another(
    channel: Channel, server: Listening
) -> None:
    call, peer, _ = await under_way(channel, server)
    peer.send(DATA, 0, 0, b"DATA has a stream")
    assert (await failure(call)).code is Code.UNAVAILABLE
    goaway = await peer.frame(GOAWAY)
    assert int.from_bytes(goaway.payload[4:8], "big") == ErrorCode.PROTOCOL_ERROR
    assert await peer.ended()
    await answered(channel, server)


async def test_a_limit_of_http2_that_a_peer_reaches_is_counted_once_by_its_name(
    channel: Channel, server: Listening
) -> None:
    call, peer, _ = await under_way(channel, server)
    for _ in range(Limits().pings.burst + 1):
        peer.send(PING, 0, 0, bytes(8))
    assert (await failure(call)).code is Code.UNAVAILABLE
    assert await peer.ended()
    assert channel.limits_reached == {"pings": 1}
    assert channel.limits_reached.keys() <= CHANNEL_LIMITS


async def test_after_goaway_calls_that_were_taken_end_well_and_others_are_made_again(
    channel: Channel, server: Listening
) -> None:
    taken, other = begun(channel, b"1"), begun(channel, b"2")
    old = await server.greeted()
    await old.request()
    await old.request()
    old.goaway(1)
    new = await server.greeted()
    assert await new.request() == (1, b"2")
    new.answer(1, b"new")
    old.answer(1, b"old")
    assert (await taken, await other) == (b"old", b"new")
    assert await old.ended()


async def test_a_goaway_in_two_steps_loses_no_call(channel: Channel, server: Listening) -> None:
    first = begun(channel, b"1")
    old = await server.greeted()
    await old.request()
    old.goaway(2**31 - 1)
    late = begun(channel, b"2")
    old.goaway(1)
    old.answer(1, b"old")
    assert await first == b"old"
    while not late.done():  # it may have left on the old connection
        stream_id, request = await (await server.greeted()).request()
        assert request == b"2"
        server.peers[-1].answer(stream_id, b"new")
        assert await late == b"new"


async def test_a_refused_stream_is_made_again(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.reset(stream_id, ErrorCode.REFUSED_STREAM)
    stream_id, request = await peer.request()
    peer.answer(stream_id, request)
    assert await call == b"x"


async def test_a_stream_that_is_refused_again_and_again_is_unavailable(
    channel: Channel, server: Listening
) -> None:
    call = begun(channel)
    peer = await server.greeted()
    for _ in range(3):
        peer.reset((await peer.request())[0], ErrorCode.REFUSED_STREAM)
    assert (await failure(call)).code is Code.UNAVAILABLE


async def test_a_call_whose_answer_had_begun_is_not_made_again(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    peer.reset(stream_id, ErrorCode.REFUSED_STREAM)
    assert (await failure(call)).code is Code.UNAVAILABLE
