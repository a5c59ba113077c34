"""The states of a stream, held against RFC 9113, section 5.1, read by hand."""

import pytest

from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault
from server.transport.http2.floods import Floods
from server.transport.http2.inflow import Inflow
from server.transport.http2.limits import Limits
from server.transport.http2.output import Output
from server.transport.http2.sender import Sender
from server.transport.http2.states import (
    AFTER_RECEIVED_END,
    AFTER_SENT_END,
    CLOSED,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    IDLE,
    OPEN,
    RESET,
    SKIPPED,
    State,
    check_may_come,
)
from server.transport.http2.stream import Stream
from server.transport.http2.streams import RESETS_REMEMBERED, StreamsInAll, StreamTable
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    DATA,
    HEADERS,
    RESPONSE,
    RST_STREAM,
    TRAILERS,
    WINDOW_UPDATE,
    window_update,
)

Fault = type[ConnectionFault] | type[StreamFault]
FAULTS: dict[tuple[int, State], tuple[Fault, ErrorCode]] = {
    # "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be treated
    # as a connection error of type PROTOCOL_ERROR"; HEADERS here are not those that open it.
    (HEADERS, IDLE): (ConnectionFault, ErrorCode.PROTOCOL_ERROR),
    (DATA, IDLE): (ConnectionFault, ErrorCode.PROTOCOL_ERROR),
    (RST_STREAM, IDLE): (ConnectionFault, ErrorCode.PROTOCOL_ERROR),
    (WINDOW_UPDATE, IDLE): (ConnectionFault, ErrorCode.PROTOCOL_ERROR),
    # "other than WINDOW_UPDATE, PRIORITY, or RST_STREAM ... a stream error of type STREAM_CLOSED"
    (HEADERS, HALF_CLOSED_REMOTE): (StreamFault, ErrorCode.STREAM_CLOSED),
    (DATA, HALF_CLOSED_REMOTE): (StreamFault, ErrorCode.STREAM_CLOSED),
    # After the peer's END_STREAM: "a connection error of type STREAM_CLOSED".
    (HEADERS, CLOSED): (ConnectionFault, ErrorCode.STREAM_CLOSED),
    (DATA, CLOSED): (ConnectionFault, ErrorCode.STREAM_CLOSED),
    # 5.1.1: numbers that a higher one has closed; "an unexpected stream identifier".
    (HEADERS, SKIPPED): (ConnectionFault, ErrorCode.PROTOCOL_ERROR),
    (DATA, SKIPPED): (ConnectionFault, ErrorCode.STREAM_CLOSED),
}
CASES = [(kind, state) for kind in (HEADERS, DATA, RST_STREAM, WINDOW_UPDATE) for state in State]


@pytest.mark.parametrize(("kind", "state"), [case for case in CASES if case in FAULTS])
def test_a_frame_that_may_not_come_is_the_fault_that_the_rfc_names(kind: int, state: State) -> None:
    fault, code = FAULTS[kind, state]
    with pytest.raises(fault) as raised:
        check_may_come(kind, state)
    assert vars(raised.value)["code"] is code


@pytest.mark.parametrize(("kind", "state"), [case for case in CASES if case not in FAULTS])
def test_all_other_frames_may_come(kind: int, state: State) -> None:
    check_may_come(kind, state)


def test_whoever_ends_a_stream_first_both_have_to() -> None:
    assert AFTER_RECEIVED_END[AFTER_SENT_END[OPEN]] is CLOSED
    assert AFTER_SENT_END[AFTER_RECEIVED_END[OPEN]] is CLOSED
    assert AFTER_SENT_END[OPEN] is HALF_CLOSED_LOCAL
    assert AFTER_RECEIVED_END[OPEN] is HALF_CLOSED_REMOTE


def test_nobody_ends_a_stream_twice() -> None:
    assert AFTER_SENT_END.keys().isdisjoint((HALF_CLOSED_LOCAL, CLOSED, RESET, IDLE))
    assert AFTER_RECEIVED_END.keys().isdisjoint((HALF_CLOSED_REMOTE, CLOSED, RESET, IDLE))


def table() -> StreamTable:
    """Of a server."""
    limits, output = Limits(), Output(Limits())
    sender = Sender(output, limits, Floods(limits))
    return StreamTable(sender, Inflow(limits, output), StreamsInAll(), client=False)


def opened(streams: StreamTable, stream_id: int) -> Stream:
    streams.peer_opens(stream_id)
    return streams.add(stream_id, 65_535)


def test_the_numbers_of_both_ends_are_idle_until_they_are_opened() -> None:
    streams = table()
    opened(streams, 1)
    assert [streams.state(stream_id) for stream_id in (1, 2, 3)] == [OPEN, IDLE, IDLE]


def test_the_number_of_the_connection_is_no_stream() -> None:
    assert table().state(0) is IDLE


def test_a_number_that_was_passed_over_is_skipped() -> None:
    streams = table()
    opened(streams, 5)
    assert [streams.state(stream_id) for stream_id in (1, 3, 5, 7)] == [
        SKIPPED,
        SKIPPED,
        OPEN,
        IDLE,
    ]


def test_a_stream_that_we_reset_is_so_until_it_is_long_forgotten_and_then_still() -> None:
    streams = table()
    for stream_id in range(1, 2 * RESETS_REMEMBERED + 4, 2):
        streams.discard_rest(opened(streams, stream_id).id)
        streams.remove(streams[stream_id])
    assert streams.state(1) is streams.state(2 * RESETS_REMEMBERED + 3) is RESET


def test_a_stream_that_the_peer_has_ended_is_not_remembered_as_reset() -> None:
    streams = table()
    stream = opened(streams, 1)
    streams.peer_ends(stream)
    streams.reset(stream, ErrorCode.NO_ERROR)
    assert streams.state(1) is stream.state is CLOSED


def test_a_stream_is_open_until_its_end_is_sent_not_until_it_is_given() -> None:
    server = by_hand.server(first=by_hand.setting(4, 3))
    server.receive(by_hand.headers(1), 0.0)
    server.send_headers(1, RESPONSE)
    server.send_data(1, b"four")
    server.send_headers(1, TRAILERS, end_stream=True)
    assert server.open_streams == 1
    with pytest.raises(ValueError, match="ended before"):
        server.send_data(1, b"more")
    server.receive(window_update(1, 1), 0.0)
    assert server.open_streams == 0
