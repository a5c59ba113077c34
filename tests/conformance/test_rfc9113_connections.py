"""RFC 9113, sections 3 to 5: starting, frames, streams."""

import pytest

from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from server.transport.serving.limits import ServerLimits
from tests.conformance.peer import BEGUN, ECHO, MESSAGE, WAITING, Peer, begun, connected
from tests.server.transport.http2.by_hand import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    REQUEST,
    SETTINGS,
    TRAILERS,
    WITH_PRIORITY,
    block,
    headers,
    raw,
    rst_stream,
    window_update,
)

LARGEST = 16_384


async def test_3_4_the_server_says_its_settings_first() -> None:
    async with connected() as peer:
        peer.say(PREFACE + raw(SETTINGS, 0, 0))
        kind, flags, stream, _ = await peer.next()
        assert (kind, flags, stream) == (SETTINGS, 0, 0)


async def test_3_4_requests_may_follow_the_preface_at_once() -> None:
    async with connected() as peer:
        peer.say(PREFACE + raw(SETTINGS, 0, 0) + ECHO)
        await peer.echoed()


async def test_3_4_an_invalid_preface_ends_the_connection() -> None:
    async with connected() as peer:
        peer.say(b"INVALID CONNECTION PREFACE\r\n\r\n")
        await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_3_4_settings_follow_the_preface() -> None:
    async with connected() as peer:
        peer.say(PREFACE + raw(PING, 0, 0, bytes(8)))
        await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_4_1_an_unknown_type_of_frame_is_ignored(peer: Peer) -> None:
    peer.say(raw(0xFF, 0, 0, bytes(8)))
    await peer.alive()


async def test_4_1_flags_without_a_meaning_are_ignored(peer: Peer) -> None:
    peer.say(raw(PING, 0xFE, 0, b"flagged!"))
    assert (await peer.frame(PING))[3] == b"flagged!"


async def test_4_1_the_reserved_bit_is_ignored(peer: Peer) -> None:
    peer.say(raw(PING, 0, 2**31, b"reserved"))
    assert (await peer.frame(PING))[3] == b"reserved"


async def test_4_2_a_frame_of_the_smallest_maximum_is_taken(peer: Peer) -> None:
    message = b"\0" + (LARGEST - 5).to_bytes(4) + bytes(LARGEST - 5)
    peer.say(BEGUN + raw(DATA, END_STREAM, 1, message))
    assert (await peer.answer()).data == message


async def test_4_2_data_larger_than_the_maximum_is_a_frame_size_error(peer: Peer) -> None:
    peer.say(BEGUN + raw(DATA, END_STREAM, 1, bytes(LARGEST + 1)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_4_2_a_head_larger_than_the_maximum_ends_the_connection(peer: Peer) -> None:
    peer.say(headers(1, (*REQUEST, (b"x", bytes(LARGEST)))))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_4_2_settings_larger_than_the_maximum_end_the_connection(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, bytes(6 * 2_731)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_4_3_a_block_that_cannot_be_decoded_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40"))
    await peer.ended(ErrorCode.COMPRESSION_ERROR)


async def test_4_3_a_priority_inside_a_block_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(HEADERS, END_STREAM, 1, block(REQUEST)) + raw(PRIORITY, 0, 1, bytes(5)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_4_3_a_head_of_another_stream_inside_a_block_ends_the_connection(
    peer: Peer,
) -> None:
    peer.say(raw(HEADERS, END_STREAM, 1, block(REQUEST)) + headers(3))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_4_3_the_block_of_a_refused_stream_is_decoded_all_the_same() -> None:
    new = b"\x40\x01x\x01y"  # x: y goes to the table
    async with connected(ServerLimits(http2=Limits(concurrent_streams=1))) as peer:
        await peer.greet()
        peer.say(BEGUN + raw(HEADERS, END_HEADERS | END_STREAM, 3, block(REQUEST) + new))
        await peer.reset(3, ErrorCode.REFUSED_STREAM)
        peer.say(raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\xbe"))  # as trailers
        assert (await peer.answer()).trailers


IDLE = {
    "DATA": raw(DATA, END_STREAM, 1, b"test"),
    "RST_STREAM": rst_stream(1),
    "WINDOW_UPDATE": window_update(1, 100),
    "CONTINUATION": raw(CONTINUATION, END_HEADERS, 1, block(REQUEST)),
}


@pytest.mark.parametrize("octets", IDLE.values(), ids=IDLE)
async def test_5_1_idle_a_frame_ends_the_connection(peer: Peer, octets: bytes) -> None:
    peer.say(octets)
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_idle_a_priority_is_taken(peer: Peer) -> None:
    peer.say(raw(PRIORITY, 0, 1, bytes(5)))
    await peer.alive()


HALF_CLOSED = {
    "DATA": raw(DATA, END_STREAM, 1, b"test"),
    "HEADERS": headers(1, TRAILERS),
}


@pytest.mark.parametrize("octets", HALF_CLOSED.values(), ids=HALF_CLOSED)
async def test_5_1_half_closed_remote_more_is_a_stream_error(peer: Peer, octets: bytes) -> None:
    peer.say(WAITING + octets)
    await peer.reset(1, ErrorCode.STREAM_CLOSED)


async def test_5_1_half_closed_remote_a_continuation_ends_the_connection(peer: Peer) -> None:
    peer.say(WAITING + raw(CONTINUATION, END_HEADERS, 1, block(REQUEST)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_half_closed_remote_updates_priorities_and_resets_are_taken(peer: Peer) -> None:
    peer.say(WAITING + window_update(1, 5) + raw(PRIORITY, 0, 1, bytes(5)) + rst_stream(1))
    await peer.alive()


@pytest.mark.parametrize("octets", HALF_CLOSED.values(), ids=HALF_CLOSED)
async def test_5_1_closed_by_the_peers_reset_more_ends_the_connection(
    peer: Peer, octets: bytes
) -> None:
    peer.say(BEGUN + rst_stream(1) + octets)
    await peer.ended(ErrorCode.STREAM_CLOSED)


@pytest.mark.parametrize("octets", HALF_CLOSED.values(), ids=HALF_CLOSED)
async def test_5_1_closed_by_both_more_ends_the_connection(peer: Peer, octets: bytes) -> None:
    peer.say(ECHO)
    await peer.echoed()
    peer.say(octets)
    await peer.ended(ErrorCode.STREAM_CLOSED)


async def test_5_1_closed_a_continuation_ends_the_connection(peer: Peer) -> None:
    peer.say(ECHO)
    await peer.echoed()
    peer.say(raw(CONTINUATION, END_HEADERS, 1, block(REQUEST)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_closed_updates_priorities_and_resets_are_taken(peer: Peer) -> None:
    peer.say(ECHO)
    await peer.echoed()
    peer.say(window_update(1, 5) + rst_stream(1) + raw(PRIORITY, 0, 1, bytes(5)))
    await peer.alive()


@pytest.mark.parametrize("octets", [raw(DATA, END_STREAM, 1, b"x"), headers(1, TRAILERS)])
async def test_5_1_closed_by_our_reset_more_is_dropped(peer: Peer, octets: bytes) -> None:
    peer.say(BEGUN + window_update(1, 0))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)
    peer.say(octets)
    await peer.alive()


async def test_5_1_1_an_even_number_ends_the_connection(peer: Peer) -> None:
    peer.say(headers(2))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_1_a_number_below_the_last_ends_the_connection(peer: Peer) -> None:
    peer.say(headers(5) + headers(3))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_5_1_1_numbers_may_be_left_out_which_closes_them(peer: Peer) -> None:
    peer.say(headers(7) + window_update(5, 1))
    await peer.alive()


async def test_5_1_2_a_stream_above_the_limit_is_refused() -> None:
    async with connected(ServerLimits(http2=Limits(concurrent_streams=2))) as peer:
        await peer.greet()
        peer.say(headers(1, flags=END_HEADERS) + headers(3, flags=END_HEADERS) + headers(5))
        await peer.reset(5, ErrorCode.REFUSED_STREAM)


async def test_5_2_data_beyond_the_window_of_a_stream_is_a_flow_control_error() -> None:
    small = Limits(stream_window_bytes=65_535, connection_window_bytes=200_000)
    async with connected(ServerLimits(http2=small)) as peer:
        await peer.greet()
        peer.say(begun(b"/e.E/Hold") + raw(DATA, 0, 1, bytes(LARGEST)) * 3)
        peer.say(raw(DATA, 0, 1, bytes(LARGEST - 1)))
        await peer.alive()
        peer.say(raw(DATA, 0, 1, b"x"))
        await peer.reset(1, ErrorCode.FLOW_CONTROL_ERROR)


async def test_5_2_data_beyond_the_window_of_the_connection_ends_it() -> None:
    small = Limits(stream_window_bytes=65_535, connection_window_bytes=65_535)
    async with connected(ServerLimits(http2=small)) as peer:
        await peer.greet()
        peer.say(begun(b"/e.E/Hold", 1) + raw(DATA, 0, 1, bytes(LARGEST)) * 3)
        peer.say(begun(b"/e.E/Hold", 3) + raw(DATA, 0, 3, bytes(LARGEST - 1)))
        await peer.alive()
        peer.say(raw(DATA, 0, 3, b"x"))
        await peer.ended(ErrorCode.FLOW_CONTROL_ERROR)


async def test_5_3_2_a_stream_that_depends_on_itself_is_no_error(peer: Peer) -> None:
    flags = END_HEADERS | END_STREAM | WITH_PRIORITY
    peer.say(raw(HEADERS, flags, 1, b"\0\0\0\1\xff" + block(REQUEST)))
    peer.say(raw(PRIORITY, 0, 3, b"\0\0\0\3\xff"))
    await peer.alive()


async def test_5_4_1_the_socket_closes_after_the_goaway_of_an_error(peer: Peer) -> None:
    peer.say(raw(PING, 0, 0, b"too long!"))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_5_4_2_a_stream_error_leaves_other_streams_alone(peer: Peer) -> None:
    peer.say(BEGUN + headers(3, ()))
    await peer.reset(3, ErrorCode.PROTOCOL_ERROR)
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


async def test_5_4_2_a_reset_is_not_answered_with_one(peer: Peer) -> None:
    peer.say(BEGUN + rst_stream(1) + rst_stream(1))
    await peer.alive()


async def test_5_5_an_unknown_frame_inside_a_block_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(HEADERS, END_STREAM, 1, block(REQUEST)) + raw(0xFF, 0, 1, b""))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)
