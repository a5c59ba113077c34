"""More calls than an endpoint has room for."""

import asyncio

from server.status_code import Code
from server.transport.channel.channel import METHODS_MAX, Channel
from tests.server.transport.channel.calling import (
    PATIENT,
    begun,
    channel_to,
    failure,
    under_way,
)
from tests.server.transport.channel.raw_peer import (
    DATA,
    END_STREAM,
    HEADERS,
    PATIENCE_S,
    RST_STREAM,
    Listening,
)


async def test_calls_beyond_the_peers_streams_go_on_more_connections(
    channel: Channel, server: Listening
) -> None:
    calls = [begun(channel, b"%d" % i) for i in range(3)]
    peers = [await server.greeted(streams=1) for _ in calls]
    requests = [await peer.request() for peer in peers]
    for peer, (stream_id, request) in zip(peers, requests, strict=True):
        peer.answer(stream_id, request)
    assert await asyncio.gather(*calls) == [b"0", b"1", b"2"]


async def test_beyond_all_connections_calls_wait_for_their_turn(server: Listening) -> None:
    async with channel_to(server, PATIENT._replace(connections=2)) as channel:
        calls = [begun(channel, b"%d" % i) for i in range(6)]
        peers = [await server.greeted(streams=1), await server.greeted(streams=1)]
        for i in range(6):
            stream_id, request = await peers[i % 2].request()
            peers[i % 2].answer(stream_id, request)
        assert await asyncio.gather(*calls) == [b"%d" % i for i in range(6)]
        assert len(server.peers) == 2


async def test_a_call_that_waits_for_its_turn_keeps_its_deadline(server: Listening) -> None:
    async with channel_to(server, PATIENT._replace(connections=1)) as channel:
        first, second = begun(channel, b"1"), begun(channel, b"2", timeout_s=0.1)
        peer = await server.greeted(streams=1)
        stream_id, _ = await peer.request()
        assert (await failure(second)).code is Code.DEADLINE_EXCEEDED
        third = begun(channel, b"3")
        peer.answer(stream_id, b"first")
        assert await first == b"first"
        stream_id, request = await peer.request()
        assert request == b"3"
        peer.answer(stream_id, b"third")
        assert await third == b"third"


async def test_no_more_calls_wait_than_the_limit(server: Listening) -> None:
    async with channel_to(server, PATIENT._replace(connections=1, waiting_calls=2)) as channel:
        calls = [begun(channel) for _ in range(3)]
        failed = await failure(calls[2])
        assert (failed.code, "too many calls" in str(failed)) == (Code.RESOURCE_EXHAUSTED, True)
        assert channel.limits_reached == {"waiting_calls": 1}
        peer = await server.greeted()
        for _ in range(2):
            stream_id, request = await peer.request()
            peer.answer(stream_id, request)
        assert await asyncio.gather(*calls[:2]) == [b"x"] * 2


async def test_no_connection_holds_more_calls_than_the_limit(server: Listening) -> None:
    async with channel_to(server, PATIENT._replace(connections=2, calls=1)) as channel:
        calls = [begun(channel, b"1"), begun(channel, b"2")]
        peers = [await server.greeted() for _ in calls]
        requests = [await peer.request() for peer in peers]
        for peer, (stream_id, request) in zip(peers, requests, strict=True):
            peer.answer(stream_id, request)
        assert await asyncio.gather(*calls) == [b"1", b"2"]


async def test_a_large_request_goes_where_fewer_bytes_wait(server: Listening) -> None:
    async with channel_to(server, PATIENT._replace(waiting_bytes=150_000)) as channel:
        calls = [begun(channel, bytes(100_000)), begun(channel, bytes(100_000)), begun(channel)]
        peers = [await server.greeted(window=0) for _ in range(2)]
        for peer in peers:
            assert (await peer.frame(HEADERS)).stream_id == 1
        assert (await peers[0].frame(HEADERS)).stream_id == 3  # the small one
        assert len(server.peers) == 2
        await channel.close()
        for call in calls:
            await failure(call)


async def test_a_large_request_that_waits_goes_when_the_peer_has_read_enough(
    server: Listening,
) -> None:
    large = bytes(32 * 2**20)  # far more than the kernel holds
    limits = PATIENT._replace(connections=1, waiting_bytes=len(large) + 100_000, goodbye_s=0.05)
    async with channel_to(server, limits) as channel:
        calls = [begun(channel, large, timeout_s=1_000 * PATIENCE_S)]
        peer = await server.greeted(window=2**31 - 1)
        peer.open_window(0, 2**30)
        assert (await peer.frame(HEADERS)).stream_id == 1
        calls.append(begun(channel, large))
        assert (await peer.frame(HEADERS)).stream_id == 3  # before the first has ended
        await channel.close()
        for call in calls:
            await failure(call)


async def test_a_large_request_that_waits_goes_when_the_peer_has_opened_a_window(
    server: Listening,
) -> None:
    async with channel_to(server, PATIENT._replace(connections=1, waiting_bytes=50_000)) as channel:
        calls = [begun(channel, bytes(40_000), timeout_s=1_000 * PATIENCE_S)]
        calls.append(begun(channel, bytes(30_000)))
        peer = await server.greeted(window=0)
        assert (await peer.frame(HEADERS)).stream_id == 1
        peer.open_window(1, 50_000)
        assert (await peer.frame(HEADERS)).stream_id == 3
        await channel.close()
        for call in calls:
            await failure(call)


async def test_a_connection_whose_numbers_are_used_up_gives_way_to_another(
    server: Listening,
) -> None:
    async with channel_to(server, PATIENT._replace(calls_ever=2)) as channel:
        calls = [begun(channel, b"%d" % i) for i in range(3)]
        old, new = await server.greeted(), await server.greeted()
        for peer in (old, old, new):
            stream_id, request = await peer.request()
            peer.answer(stream_id, request)
        assert await asyncio.gather(*calls) == [b"0", b"1", b"2"]
        assert await old.ended()


async def test_what_is_said_in_one_turn_of_the_loop_leaves_in_one_write(
    channel: Channel, server: Listening
) -> None:
    first, peer, stream_id = await under_way(channel, server)
    peer.answer(stream_id, b"well")
    await first
    calls = [begun(channel, b"number %d" % i) for i in range(10)]
    written = await peer.burst()
    assert [i for i in range(10) if b"number %d" % i in written] == [*range(10)]
    for stream_id in range(3, 23, 2):
        peer.answer(stream_id, b"well")
    assert await asyncio.gather(*calls) == [b"well"] * 10


async def test_more_methods_than_are_remembered_can_be_called(
    channel: Channel, server: Listening
) -> None:
    calls = [
        asyncio.create_task(channel.unary(f"/a.B/{i}", b"x", timeout_s=PATIENCE_S))
        for i in range(METHODS_MAX + 1)
    ]
    peer = await server.greeted()
    for _ in calls:
        peer.answer((await peer.request())[0], b"well")
    assert await asyncio.gather(*calls) == [b"well"] * len(calls)
    assert channel.methods_remembered <= METHODS_MAX


async def test_when_no_other_connection_comes_about_calls_wait_for_the_one(
    server: Listening,
) -> None:
    async with channel_to(server) as channel:
        first = begun(channel, b"1")
        peer = await server.greeted(streams=1)
        stream_id, _ = await peer.request()
        second = begun(channel, b"2")
        (await server.accept()).writer.close()
        peer.answer(stream_id, b"first")
        stream_id, request = await peer.request()
        peer.answer(stream_id, request)
        assert (await first, await second) == (b"first", b"2")


async def test_a_request_goes_through_a_window_of_one_byte(
    channel: Channel, server: Listening
) -> None:
    call = begun(channel, b"tiny")
    peer = await server.greeted(window=1)
    body = b""
    while len(body) < 9:
        frame = await peer.frame(DATA)
        body += frame.payload
        peer.open_window(frame.stream_id, 1)
    assert (body, frame.flags) == (b"\0\0\0\0\x04tiny", END_STREAM)
    peer.answer(frame.stream_id, b"well")
    assert await call == b"well"


async def test_an_answer_before_the_end_of_the_request_ends_the_request(
    channel: Channel, server: Listening
) -> None:
    call = begun(channel, bytes(100_000))
    peer = await server.greeted(window=10)
    stream_id = (await peer.frame(HEADERS)).stream_id
    peer.answer(stream_id, b"enough")
    assert await call == b"enough"
    assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_the_last_call_of_a_connection_does_not_fail_because_no_other_can_be_made(
    server: Listening,
) -> None:
    refused = asyncio.Event()

    def chance() -> float:
        """Asked for when an attempt to connect has failed."""
        refused.set()
        return 0.5

    channel = Channel(server.address, limits=PATIENT._replace(calls_ever=2), chance=chance)
    first = begun(channel)
    peer = await server.greeted(streams=1)
    stream_id, _ = await peer.request()
    server.stop()
    last = begun(channel)
    await refused.wait()
    peer.answer(stream_id, b"1")
    stream_id, _ = await peer.request()
    peer.answer(stream_id, b"2")
    assert (await first, await last) == (b"1", b"2")
    await channel.close()
