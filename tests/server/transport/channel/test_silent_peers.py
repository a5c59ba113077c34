"""Peers that say nothing, and deadlines."""

from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.channel.keepalive import Keepalive
from server.transport.http2.errors import ErrorCode
from tests.server.transport.channel.calling import PATIENT, begun, channel_to, failure, under_way
from tests.server.transport.channel.raw_peer import (
    PING,
    RST_STREAM,
    Listening,
)


async def test_frames_of_calls_that_were_left_do_no_harm(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    call.cancel()
    assert (await peer.frame(RST_STREAM)).stream_id == stream_id
    peer.answer(stream_id, b"late")
    other = begun(channel)
    stream_id, _ = await peer.request()
    peer.answer(stream_id, b"well")
    assert await other == b"well"


async def test_a_dead_peer_fails_its_calls(server: Listening) -> None:
    eager = Keepalive(silence_s=0.05, answer_s=0.05)
    async with channel_to(server, PATIENT._replace(keepalive=eager)) as channel:
        call, peer, _ = await under_way(channel, server)
        with capture_logs() as logs:
            failed = await failure(call)
        assert (failed.code, "silent" in str(failed)) == (Code.UNAVAILABLE, True)
        assert [(line["limit"], line["endpoint"]) for line in logs] == [
            ("channel_keepalive", server.address)
        ]
        assert channel.limits_reached == {"keepalive": 1}
        assert await peer.ended()


async def test_a_peer_that_answers_pings_may_take_its_time(server: Listening) -> None:
    eager = Keepalive(silence_s=0.05, answer_s=0.5)
    async with channel_to(server, PATIENT._replace(keepalive=eager)) as channel:
        call, peer, stream_id = await under_way(channel, server)
        for _ in range(2):  # the second comes when the first would have been too late
            ping = await peer.frame(PING)
            peer.send(PING, 0x1, 0, ping.payload)
        peer.answer(stream_id, b"at last")
        assert await call == b"at last"


async def test_a_peer_that_takes_a_request_bit_by_bit_is_not_silent(server: Listening) -> None:
    eager = Keepalive(silence_s=0.05, answer_s=0.5)
    async with channel_to(server, PATIENT._replace(keepalive=eager)) as channel:
        call = begun(channel, bytes(100_000))
        peer = await server.greeted()
        for _ in range(2):  # its answer would come behind what it has not read yet
            await peer.frame(PING)
            peer.open_window(0, 50_000)
        peer.open_window(1, 50_000)
        stream_id, _ = await peer.request()
        peer.answer(stream_id, b"at last")
        assert await call == b"at last"


async def test_a_deadline_resets_the_stream(channel: Channel, server: Listening) -> None:
    first, peer, stream_id = await under_way(channel, server)
    peer.answer(stream_id, b"well")
    await first
    call = begun(channel, timeout_s=0.02)
    stream_id, _ = await peer.request()
    assert (await failure(call)).code is Code.DEADLINE_EXCEEDED
    reset = await peer.frame(RST_STREAM)
    assert (reset.stream_id, int.from_bytes(reset.payload, "big")) == (stream_id, ErrorCode.CANCEL)


async def test_a_deadline_that_passes_while_connecting_is_told_as_one(server: Listening) -> None:
    async with channel_to(server) as channel:
        assert (await failure(begun(channel, timeout_s=0.05))).code is Code.DEADLINE_EXCEEDED


async def test_no_time_at_all_is_a_deadline_that_has_passed(
    channel: Channel, server: Listening
) -> None:
    assert (await failure(begun(channel, timeout_s=0.0))).code is Code.DEADLINE_EXCEEDED
