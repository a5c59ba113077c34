"""How the connections of a server share the streams that it may have."""

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.events import HeadersReceived, StreamRefused
from server.transport.http2.streams import STREAMS_ALWAYS, StreamsInAll
from tests.server.transport.serving.raw_caller import head


class Pair:
    """A client and one connection of the server."""

    def __init__(self, in_all: StreamsInAll) -> None:
        self.client = Connection(client=True)
        self.server = Connection(client=False, streams_in_all=in_all)
        self.client.receive(self.server.take_output(), 0.0)

    def open(self, wanted: int) -> int:
        """How many of these the server took; the others were refused by the right name."""
        for _ in range(wanted):
            self.client.open_stream(head("Echo"), end_stream=True)
        events = self.server.receive(self.client.take_output(), 0.0)
        taken = [event for event in events if isinstance(event, HeadersReceived)]
        refused = [event for event in events if isinstance(event, StreamRefused)]
        assert len(taken) + len(refused) == wanted
        assert {event.limit for event in refused} <= {"streams_in_all"}
        return len(taken)


def test_connections_have_no_more_streams_together_than_the_limit() -> None:
    in_all = StreamsInAll(90)
    assert [Pair(in_all).open(50) for _ in range(2)] == [50, 40]
    assert in_all.open == 90


def test_whoever_takes_all_streams_leaves_a_few_to_each_connection_that_comes_later() -> None:
    in_all = StreamsInAll(90)
    greedy = Pair(in_all)
    assert greedy.open(90) == 90
    assert greedy.open(10) == 0
    assert [Pair(in_all).open(10) for _ in range(3)] == [STREAMS_ALWAYS] * 3


@pytest.mark.parametrize("how", ["answered", "reset", "abandoned", "broken"])
def test_streams_that_are_over_are_free_for_others(how: str) -> None:
    in_all = StreamsInAll(90)
    pair = Pair(in_all)
    assert pair.open(10) == in_all.open == 10
    if how == "abandoned":
        pair.server.close()
    elif how == "broken":
        pair.server.receive(bytes(9), 0.0)
    for stream_id in range(1, 21, 2):
        if how == "answered":
            pair.server.send_headers(stream_id, [(b":status", b"200")], end_stream=True)
        elif how == "reset":
            pair.server.reset(stream_id)
    assert in_all.open == pair.server.open_streams == 0
