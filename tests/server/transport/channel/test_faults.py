"""Endpoints that misbehave: what a caller hears, and that others hear nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.channel.call import MESSAGE_BYTES_MAX
from server.transport.channel.channel import METHODS_MAX, Channel
from server.transport.channel.keepalive import Keepalive
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed
from server.transport.grpc.metadata import Metadata
from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from server.transport.limit_names import CHANNEL_LIMITS
from tests.server.transport.channel.raw_peer import (
    DATA,
    END_STREAM,
    GOAWAY,
    GRPC_HEAD,
    HEADERS,
    PATIENCE_S,
    PING,
    RST_STREAM,
    Listening,
    Peer,
    deaf_address,
    listening,
)

PATH = "/a.B/C"
PATIENT = ChannelLimits(connect_s=PATIENCE_S)


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as made:
        yield made


@asynccontextmanager
async def channel_to(server: Listening, limits: ChannelLimits = PATIENT) -> AsyncIterator[Channel]:
    channel = Channel(server.address, limits=limits, chance=lambda: 0.5)
    yield channel
    await channel.close()


@pytest.fixture
async def channel(server: Listening) -> AsyncIterator[Channel]:
    async with channel_to(server) as made:
        yield made


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


# Connecting.


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


# The end of a connection.


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


async def answered(channel: Channel, server: Listening) -> None:
    """Makes a call on a connection of its own."""
    call, peer, stream_id = await under_way(channel, server)
    peer.answer(stream_id, b"well")
    assert await call == b"well"


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


RESETS = {
    ErrorCode.NO_ERROR: Code.INTERNAL,
    ErrorCode.PROTOCOL_ERROR: Code.INTERNAL,
    ErrorCode.INTERNAL_ERROR: Code.INTERNAL,
    ErrorCode.FLOW_CONTROL_ERROR: Code.INTERNAL,
    ErrorCode.FRAME_SIZE_ERROR: Code.INTERNAL,
    ErrorCode.CANCEL: Code.CANCELLED,
    ErrorCode.COMPRESSION_ERROR: Code.INTERNAL,
    ErrorCode.CONNECT_ERROR: Code.INTERNAL,
    ErrorCode.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
    12345: Code.INTERNAL,
}


@pytest.mark.parametrize(("reset", "code"), RESETS.items())
async def test_a_reset_stream_has_the_status_that_grpc_gives_it(
    channel: Channel, server: Listening, reset: int, code: Code
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.reset(stream_id, reset)
    assert (await failure(call)).code is code


# Answers that are none.


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400", Code.INTERNAL),
        ("401", Code.UNAUTHENTICATED),
        ("403", Code.PERMISSION_DENIED),
        ("404", Code.UNIMPLEMENTED),
        ("418", Code.UNKNOWN),
        ("429", Code.UNAVAILABLE),
        ("502", Code.UNAVAILABLE),
        ("503", Code.UNAVAILABLE),
        ("504", Code.UNAVAILABLE),
    ],
)
async def test_an_answer_of_a_proxy_has_the_status_that_grpc_gives_it(
    channel: Channel, server: Listening, status: str, code: Code
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, ((":status", status), ("content-type", "text/plain")))
    peer.send(DATA, END_STREAM, stream_id, b"upstream connect error")
    failed = await failure(call)
    assert failed.code is code
    assert f"HTTP {status}" in str(failed)


async def test_a_status_of_grpc_counts_whatever_http_says(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, ((":status", "503"), ("grpc-status", "5")), END_STREAM)
    assert (await failure(call)).code is Code.NOT_FOUND


async def test_a_page_is_no_answer(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, ((":status", "200"), ("content-type", "text/html")))
    peer.send(DATA, END_STREAM, stream_id, b"<html>")
    failed = await failure(call)
    assert (failed.code, "text/html" in str(failed)) == (Code.UNKNOWN, True)


async def fail_with(
    channel: Channel, server: Listening, body: bytes, *trailers: tuple[str, str]
) -> CallFailed:
    """What comes of an answer with this body and these trailers."""
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    if body:
        peer.send(DATA, 0, stream_id, body)
    peer.trailers(stream_id, *trailers)
    return await failure(call)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"\0\0\0\0\x02x", id="half"),
        pytest.param(b"\0\0\0", id="half a prefix"),
        pytest.param(b"\0\0\0\0\x01x" * 2, id="two"),
        pytest.param(b"\0\0\0\0\x01x\0", id="one and a bit"),
        pytest.param(b"\x02\0\0\0\x01x", id="an unknown flag"),
        pytest.param(b"\x01\0\0\0\x01x", id="compressed, with no encoding named"),
    ],
)
async def test_an_answer_that_is_not_one_message_is_internal(
    channel: Channel, server: Listening, body: bytes
) -> None:
    assert (await fail_with(channel, server, body)).code is Code.INTERNAL


async def test_an_error_needs_no_message(channel: Channel, server: Listening) -> None:
    trailers = (("grpc-status", "5"), ("grpc-message", "no%20such%E2%98%BA"), ("x-why", "gone"))
    failed = await fail_with(channel, server, b"", *trailers)
    assert (failed.code, str(failed)) == (Code.NOT_FOUND, "no such\u263a")
    assert failed.metadata == (("x-why", "gone"),)


@pytest.mark.parametrize("status", ["99", "-1", "OK", "", "9" * 5_000])
async def test_a_status_that_grpc_does_not_have_is_unknown(
    channel: Channel, server: Listening, status: str
) -> None:
    failed = await fail_with(channel, server, b"\0\0\0\0\0", ("grpc-status", status))
    assert failed.code is Code.UNKNOWN


async def test_trailers_without_a_status_are_unknown(channel: Channel, server: Listening) -> None:
    failed = await fail_with(channel, server, b"\0\0\0\0\0", ("x-status", "0"))
    assert (failed.code, "without a grpc-status" in str(failed)) == (Code.UNKNOWN, True)


async def test_an_answer_without_trailers_is_unknown(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    peer.data(stream_id, b"well", END_STREAM)
    assert (await failure(call)).code is Code.UNKNOWN


async def test_an_encoding_that_nobody_offered_is_internal(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, (*GRPC_HEAD, ("grpc-encoding", "snappy")))
    failed = await failure(call)
    assert (failed.code, "snappy" in str(failed)) == (Code.INTERNAL, True)
    assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_what_gzip_did_not_make_is_internal(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, (*GRPC_HEAD, ("grpc-encoding", "gzip")))
    peer.send(DATA, 0, stream_id, b"\x01\0\0\0\x04junk")
    assert (await failure(call)).code is Code.INTERNAL


async def test_an_answer_beyond_the_limit_is_refused_by_its_prefix(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    peer.send(DATA, 0, stream_id, b"\0" + (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"))
    assert (await failure(call)).code is Code.RESOURCE_EXHAUSTED
    assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_a_request_beyond_the_limit_is_not_sent(channel: Channel, server: Listening) -> None:
    failed = await failure(begun(channel, bytes(MESSAGE_BYTES_MAX + 1)))
    assert failed.code is Code.RESOURCE_EXHAUSTED
    assert server.peers == []


async def test_metadata_that_cannot_be_sent_is_the_callers_fault(channel: Channel) -> None:
    with pytest.raises(ValueError, match="printable"):
        await begun(channel, metadata=(("x-a", "line\nbreak"),))


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


# Silence.


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


# Streams and windows.


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


# The end of a channel.


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
