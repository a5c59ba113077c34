"""RFC 9113, section 6: each type of frame."""

import pytest

from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from server.transport.serving.limits import ServerLimits
from tests.conformance.peer import BEGUN, ECHO, MESSAGE, WAITING, Peer, connected
from tests.server.transport.http2.by_hand import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    TRAILERS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    block,
    headers,
    raw,
    rst_stream,
    setting,
    window_update,
)

ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 2, 4, 5


async def test_6_1_data_may_be_padded(peer: Peer) -> None:
    peer.say(BEGUN + raw(DATA, END_STREAM | PADDED, 1, b"\3" + MESSAGE + bytes(3)))
    await peer.echoed()


async def test_6_1_data_may_be_empty(peer: Peer) -> None:
    peer.say(BEGUN + raw(DATA, 0, 1) + raw(DATA, 0, 1, MESSAGE) + raw(DATA, END_STREAM, 1))
    await peer.echoed()


async def test_6_1_data_on_stream_0_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(DATA, END_STREAM, 0, b"test"))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_1_data_on_a_stream_that_has_ended_is_a_stream_error(peer: Peer) -> None:
    peer.say(WAITING + raw(DATA, END_STREAM, 1, b"test"))
    await peer.reset(1, ErrorCode.STREAM_CLOSED)


@pytest.mark.parametrize("payload", [b"\5test", b"\6test", b"\xff"])
async def test_6_1_padding_as_long_as_the_payload_ends_the_connection(
    peer: Peer, payload: bytes
) -> None:
    peer.say(BEGUN + raw(DATA, END_STREAM | PADDED, 1, payload))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_2_a_head_may_be_padded_and_have_a_priority(peer: Peer) -> None:
    payload = b"\4" + b"\0\0\0\0\xff" + block(REQUEST) + bytes(4)
    peer.say(raw(HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, 1, payload))
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


async def test_6_2_a_head_on_stream_0_ends_the_connection(peer: Peer) -> None:
    peer.say(headers(0))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_2_a_head_with_too_much_padding_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xfa" + block(REQUEST)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_2_a_head_without_the_priority_it_announces_ends_the_connection(
    peer: Peer,
) -> None:
    peer.say(raw(HEADERS, END_HEADERS | WITH_PRIORITY, 1, bytes(4)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_3_a_priority_on_stream_0_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(PRIORITY, 0, 0, bytes(5)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_3_a_priority_of_another_size_is_a_stream_error(peer: Peer) -> None:
    peer.say(BEGUN + raw(PRIORITY, 0, 1, bytes(4)))
    await peer.reset(1, ErrorCode.FRAME_SIZE_ERROR)


async def test_6_4_a_reset_on_stream_0_ends_the_connection(peer: Peer) -> None:
    peer.say(rst_stream(0))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_4_a_reset_of_an_idle_stream_ends_the_connection(peer: Peer) -> None:
    peer.say(rst_stream(1))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_4_a_reset_of_another_size_ends_the_connection(peer: Peer) -> None:
    peer.say(BEGUN + raw(RST_STREAM, 0, 1, bytes(3)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_5_an_acknowledgement_with_a_payload_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(SETTINGS, ACK, 0, bytes(6)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_5_settings_on_a_stream_end_the_connection(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 1, setting(3, 100)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_5_settings_of_another_size_end_the_connection(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, bytes(3)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


BOUNDS = {
    "ENABLE_PUSH": (setting(ENABLE_PUSH, 2), ErrorCode.PROTOCOL_ERROR),
    "INITIAL_WINDOW_SIZE": (setting(INITIAL_WINDOW_SIZE, 2**31), ErrorCode.FLOW_CONTROL_ERROR),
    "MAX_FRAME_SIZE too small": (setting(MAX_FRAME_SIZE, 16_383), ErrorCode.PROTOCOL_ERROR),
    "MAX_FRAME_SIZE too large": (setting(MAX_FRAME_SIZE, 2**24), ErrorCode.PROTOCOL_ERROR),
}


@pytest.mark.parametrize(("parameter", "code"), BOUNDS.values(), ids=BOUNDS)
async def test_6_5_2_a_value_out_of_bounds_ends_the_connection(
    peer: Peer, parameter: bytes, code: int
) -> None:
    peer.say(raw(SETTINGS, 0, 0, parameter))
    await peer.ended(code)


async def test_6_5_2_an_unknown_parameter_is_ignored(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, setting(0xFF, 1)))
    await peer.alive()


async def test_6_5_3_the_last_of_several_values_is_in_force(peer: Peer) -> None:
    windows = setting(INITIAL_WINDOW_SIZE, 100) + setting(INITIAL_WINDOW_SIZE, 1)
    peer.say(raw(SETTINGS, 0, 0, windows) + ECHO)
    assert len((await peer.frame(DATA, 1))[3]) == 1


async def test_6_5_3_settings_are_acknowledged_at_once(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, setting(3, 100)))
    for _ in range(2):  # the peer's own beginning is acknowledged too
        assert await peer.frame(SETTINGS) == (SETTINGS, ACK, 0, b"")


async def test_6_6_a_client_may_not_push(peer: Peer) -> None:
    peer.say(BEGUN + raw(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(REQUEST)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_7_a_ping_is_answered_with_its_payload(peer: Peer) -> None:
    peer.say(raw(PING, 0, 0, b"h2spec!!"))
    assert await peer.frame(PING) == (PING, ACK, 0, b"h2spec!!")


async def test_6_7_an_answer_to_a_ping_is_not_answered(peer: Peer) -> None:
    peer.say(raw(PING, ACK, 0, b"invalid!") + raw(PING, 0, 0, b"h2spec!!"))
    assert (await peer.frame(PING))[3] == b"h2spec!!"


async def test_6_7_a_ping_on_a_stream_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(PING, 0, 1, bytes(8)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("size", [0, 6, 9])
async def test_6_7_a_ping_of_another_size_ends_the_connection(peer: Peer, size: int) -> None:
    peer.say(raw(PING, 0, 0, bytes(size)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_8_a_goaway_on_a_stream_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(GOAWAY, 0, 1, bytes(8)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_8_a_goaway_that_is_too_short_ends_the_connection(peer: Peer) -> None:
    peer.say(raw(GOAWAY, 0, 0, bytes(7)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_8_calls_that_are_open_at_a_goaway_are_answered(peer: Peer) -> None:
    peer.say(BEGUN + raw(GOAWAY, 0, 0, bytes(8)) + raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


async def test_6_9_an_update_by_nothing_ends_the_connection(peer: Peer) -> None:
    peer.say(window_update(0, 0))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_9_an_update_of_a_stream_by_nothing_is_a_stream_error(peer: Peer) -> None:
    peer.say(BEGUN + window_update(1, 0))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


async def test_6_9_an_update_of_another_size_ends_the_connection(peer: Peer) -> None:
    peer.say(BEGUN + raw(WINDOW_UPDATE, 0, 1, bytes(3)))
    await peer.ended(ErrorCode.FRAME_SIZE_ERROR)


async def test_6_9_the_reserved_bit_of_an_update_is_ignored(peer: Peer) -> None:
    peer.say(raw(WINDOW_UPDATE, 0, 0, (2**31 + 1).to_bytes(4)))
    await peer.alive()


async def test_6_9_1_no_more_is_sent_than_the_window_allows(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 1)) + ECHO)
    for _ in range(len(MESSAGE) - 1):
        assert len((await peer.frame(DATA, 1))[3]) == 1
        await peer.alive()
        peer.say(window_update(1, 1))
    await peer.answer()


async def test_6_9_1_a_window_of_the_connection_above_the_maximum_ends_it(peer: Peer) -> None:
    peer.say(window_update(0, 2**31 - 1) + window_update(0, 2**31 - 1))
    await peer.ended(ErrorCode.FLOW_CONTROL_ERROR)


async def test_6_9_1_a_window_of_a_stream_above_the_maximum_resets_it(peer: Peer) -> None:
    peer.say(BEGUN + window_update(1, 2**31 - 1) + window_update(1, 2**31 - 1))
    await peer.reset(1, ErrorCode.FLOW_CONTROL_ERROR)


async def test_6_9_2_a_new_initial_window_applies_to_open_streams(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 0)) + ECHO)
    await peer.frame(HEADERS, 1)
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 1)))
    assert len((await peer.frame(DATA, 1))[3]) == 1


async def test_6_9_2_a_window_may_be_below_nothing(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 3)) + ECHO)
    assert len((await peer.frame(DATA, 1))[3]) == 3
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 2)) + window_update(1, 2))
    assert len((await peer.frame(DATA, 1))[3]) == 1


async def test_6_9_2_an_initial_window_that_overflows_a_streams_ends_the_connection(
    peer: Peer,
) -> None:
    peer.say(BEGUN + window_update(1, 2**31 - 1 - 65_535))
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 65_536)))
    await peer.ended(ErrorCode.FLOW_CONTROL_ERROR)


async def test_6_9_2_settings_do_not_change_the_window_of_the_connection(peer: Peer) -> None:
    peer.say(raw(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 10**6)))
    message = b"\0" + (70_000).to_bytes(4) + bytes(70_000)
    peer.say(
        BEGUN + b"".join(raw(DATA, 0, 1, message[i : i + 10_000]) for i in range(0, 70_005, 10_000))
    )
    peer.say(raw(DATA, END_STREAM, 1))
    received = 0
    while received < 65_535:
        received += len((await peer.frame(DATA, 1))[3])
    assert received == 65_535
    await peer.alive()  # and nothing of it comes before the answer to the ping
    peer.say(window_update(0, 10_000))
    assert len((await peer.frame(DATA, 1))[3]) == 70_005 - 65_535


async def test_6_10_a_block_may_go_on_in_several_frames(peer: Peer) -> None:
    octets = block(REQUEST)
    peer.say(raw(HEADERS, 0, 1, octets[:5]) + raw(CONTINUATION, 0, 1, octets[5:9]))
    peer.say(raw(CONTINUATION, END_HEADERS, 1, octets[9:]) + raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


async def test_6_10_another_frame_than_a_continuation_ends_the_connection(peer: Peer) -> None:
    octets = block(REQUEST)
    peer.say(raw(HEADERS, 0, 1, octets[:5]) + raw(CONTINUATION, 0, 1, octets[5:]))
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_id", [0, 3])
async def test_6_10_a_continuation_of_another_stream_ends_the_connection(
    peer: Peer, stream_id: int
) -> None:
    peer.say(raw(HEADERS, 0, 1, block(REQUEST)) + raw(CONTINUATION, END_HEADERS, stream_id))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


NOTHING_TO_GO_ON = {
    "HEADERS with END_HEADERS": BEGUN,
    "CONTINUATION with END_HEADERS": raw(HEADERS, 0, 1, block(REQUEST))
    + raw(CONTINUATION, END_HEADERS, 1),
    "DATA": BEGUN + raw(DATA, 0, 1, MESSAGE),
}


@pytest.mark.parametrize("before", NOTHING_TO_GO_ON.values(), ids=NOTHING_TO_GO_ON)
async def test_6_10_a_continuation_of_nothing_ends_the_connection(
    peer: Peer, before: bytes
) -> None:
    peer.say(before + raw(CONTINUATION, END_HEADERS, 1, block(TRAILERS)))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)


async def test_6_10_a_block_that_goes_on_and_on_ends_the_connection() -> None:
    async with connected(ServerLimits(http2=Limits(continuation_frames=8))) as peer:
        await peer.greet()
        peer.say(raw(HEADERS, 0, 1, block(REQUEST)) + raw(CONTINUATION, 0, 1, b"\0\1x\1y") * 9)
        await peer.ended(ErrorCode.ENHANCE_YOUR_CALM)
