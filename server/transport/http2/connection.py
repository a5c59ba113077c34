"""One HTTP/2 connection (RFC 9113), either end: bytes in, events out. No socket, no clock."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, TypeVarTuple

from server.transport.http2 import frames, settings
from server.transport.http2.errors import ConnectionFault, ErrorCode
from server.transport.http2.events import ConnectionEnded, Event, StreamWritable
from server.transport.http2.floods import Floods
from server.transport.http2.frames import NUMBER_MAX, PREFACE, frame, goaway_frame
from server.transport.http2.hpack.table import Header
from server.transport.http2.inflow import Inflow
from server.transport.http2.limits import Limits
from server.transport.http2.output import Output
from server.transport.http2.receiver import Receiver
from server.transport.http2.sender import Sender
from server.transport.http2.states import CLOSED, HALF_CLOSED_LOCAL
from server.transport.http2.stream import Stream
from server.transport.http2.streams import StreamsInAll, StreamTable

Given = TypeVarTuple("Given")
What = TypeVar("What")
More = TypeVar("More")

_DEFAULT_LIMITS = Limits()
# What was made in the turn that reaches one of these is too much to be sent.
_OF_A_TURN = ("output_bytes", "control_output_bytes")


class Connection:
    """What a peer may do, and what we owe it. `receive` raises for nothing that a peer sends."""

    def __init__(
        self,
        *,
        client: bool,
        limits: Limits = _DEFAULT_LIMITS,
        streams_in_all: StreamsInAll | None = None,
    ) -> None:
        """The preface and our SETTINGS are in the output at once.

        `streams_in_all` is shared by the connections of a server.
        """
        self.ended: ConnectionEnded | None = None  # a send may end it too: look after sending
        self.writable: list[StreamWritable] = []  # since `take_output`; `take_writable` empties it
        self._receive_window = limits.stream_window_bytes
        self._floods = Floods(limits)
        self._output = Output(limits)
        self._sender = Sender(self._output, limits, self._floods)
        self._output.signal(
            (PREFACE if client else b"")
            + frame(frames.SETTINGS, 0, 0, settings.settings_payload(limits, client=client))
        )
        self._inflow = Inflow(limits, self._output)
        self._streams = StreamTable(
            self._sender, self._inflow, streams_in_all or StreamsInAll(), client=client
        )
        self._receiver = Receiver(
            limits, self._floods, self._sender, self._inflow, self._streams, client=client
        )

    @property
    def open_streams(self) -> int:
        """Streams on which something may still happen."""
        return len(self._streams)

    @property
    def streams_free(self) -> int:
        """How many more may be opened now (client)."""
        return self._streams.free

    @property
    def held_bytes(self) -> int:
        """What is kept now: for the peer to take, and of frames and heads that are not complete."""
        sender = self._sender
        return self._receiver.held_bytes + self._output.size + sender.kept_bytes

    @property
    def data_bytes(self) -> int:
        """Of messages, ever, that the peer's windows let through."""
        return self._sender.data_bytes

    @property
    def waits_for_connection(self) -> bool:
        """Whether data waits for the window of the whole connection."""
        return self._sender.waits_for_connection

    def held_back(self) -> tuple[dict[int, int], frozenset[int]]:
        """Streams whose data waits, each with what it ever let through; and those among them that
        wait for a window of their own.
        """
        if not self._sender.waiting_bytes:
            return {}, frozenset()
        waiting = [one for one in self._streams.values() if one.queue]
        own = frozenset(one.id for one in waiting if one.send_window <= 0)
        return {one.id: one.sent_bytes for one in waiting}, own

    def receive(self, data: bytes, now_s: float) -> list[Event]:
        """What these bytes mean; after ConnectionEnded nothing means anything."""
        receiver = self._receiver
        if self.ended is None:
            self._floods.now_s = now_s
            try:
                receiver.begin(data)
                while receiver.go_on():
                    pass
            except ConnectionFault as fault:
                self._end(fault)
        return receiver.take_events()

    def receive_in_stretches(self, data: bytes, now_s: float) -> Iterator[list[Event]]:
        """The same, a millisecond's work at a time; to be gone through before more is received."""
        receiver = self._receiver
        if self.ended is None:
            self._floods.now_s = now_s
            try:
                receiver.begin(data)
                while receiver.go_on():
                    yield receiver.take_events()
                    if self.ended is not None:  # by what was sent meanwhile
                        break
            except ConnectionFault as fault:
                self._end(fault)
        yield receiver.take_events()

    def open_stream(self, headers: Sequence[Header], *, end_stream: bool = False) -> int:
        """Sends the head of a request (client); raises NoStreamFree when there is no stream.

        For any method but HEAD, whose answer may announce content that does not come.
        """
        stream = self._streams.open(self._receive_window)
        self.send_headers(stream.id, headers, end_stream=end_stream)
        return stream.id

    def request(self, headers: Sequence[Header], data: bytes | memoryview) -> int:
        """Sends a whole request (client) in one go: cheaper than head, then data and end."""
        stream_id = self._streams.open(self._receive_window).id
        self.send_whole(stream_id, headers, data, ())
        return stream_id

    def send_whole(
        self,
        stream_id: int,
        headers: Sequence[Header],
        data: bytes | memoryview,
        trailers: Sequence[Header],
    ) -> None:
        """Sends a whole message in one go: cheaper than head, data, then trailers, if any."""
        self._send(self._sender.whole, stream_id, (headers, data), trailers)

    def send_headers(
        self, stream_id: int, headers: Sequence[Header], *, end_stream: bool = False
    ) -> None:
        """Sends a head, or trailers; they wait behind data that waits for a window."""
        self._send(self._sender.headers, stream_id, headers, end_stream)

    def send_data(
        self, stream_id: int, data: bytes | memoryview, *, end_stream: bool = False
    ) -> None:
        """Sends what the windows and one write allow; the rest waits, in order.

        On a stream that is gone, every kind of sending does nothing: its end is told by an event.
        """
        self._send(self._sender.data, stream_id, data, end_stream)

    def waiting_bytes(self, stream_id: int) -> int:
        """How much of its data waits; StreamWritable tells when it is none."""
        stream = self._streams.get(stream_id)
        return stream.waiting_bytes if stream is not None else 0

    def is_held_back(self, stream_id: int) -> bool:
        """Whether the peer's windows keep some of its data waiting, not our socket alone."""
        stream = self._streams.get(stream_id)
        return stream is not None and self._sender.is_held_back(stream)

    def reset(self, stream_id: int, code: int = ErrorCode.CANCEL) -> None:
        """Ends the stream at once, for both; no event follows.

        A server that has answered all while the client still sends does this with NO_ERROR.
        """
        if (stream := self._streams.get(stream_id)) is not None:
            self._do(self._streams.reset, stream, code)

    def give_back(self, stream_id: int, flow_bytes: int) -> None:
        """The application took so much of what DataReceived brought: the windows open again.

        What a stream has not given back is given back when it closes.
        """
        if (stream := self._streams.get(stream_id)) is not None:
            self._do(self._inflow.give_back, stream, flow_bytes)

    def ping(self, payload: bytes) -> None:
        """Asks for PingAcknowledged with the same 8 bytes."""
        self._say(frame(frames.PING, 0, 0, payload))

    def goaway(
        self,
        code: int = ErrorCode.NO_ERROR,
        *,
        last_stream_id: int | None = None,
        debug: bytes = b"",
    ) -> None:
        """Asks for no new streams, in two steps so that none is lost that is on its way.

        First with `last_stream_id` 2**31 - 1; a round trip later without: what the peer opens above
        the last stream that was seen is not processed, and may be tried elsewhere. `debug` is for
        whoever looks for a reason.
        """
        last = max(self._streams.last_peer, 0) if last_stream_id is None else last_stream_id
        last = self._streams.last_accepted = min(last, self._streams.last_accepted)
        if last < NUMBER_MAX:
            self._streams.going_away = True
        self._say(goaway_frame(last, code, debug))

    def take_output(self) -> bytes:
        """What is to be written now, of data as much as a write should carry; empty: nothing.

        After ROOM_BYTES there may be more at once.
        """
        if self._sender.ready:
            self._do(self._go_on_sending)
        return self._output.take()

    def take_writable(self) -> list[StreamWritable]:
        """The streams on which nothing waits any more since output was taken."""
        writable, self.writable = self.writable, []
        return writable

    def close(self) -> None:
        """Nothing comes or goes any more, and nothing is kept: not until a collector comes by."""
        if self.ended is None:
            self.ended = ConnectionEnded(ErrorCode.NO_ERROR, "the connection was closed", "")
        self._drop()
        self._output.take()
        self._receiver.events, self.writable = [], []

    def hold_back(self) -> None:
        """Whoever writes is behind: data waits until `let_go`, or until the output is taken."""
        self._output.hold_back()

    def let_go(self) -> None:
        """Whoever writes takes more."""
        self._output.let_go()

    def _send(
        self, send: Callable[[Stream, What, More], None], stream_id: int, what: What, more: More
    ) -> None:
        """On a stream that is gone this does nothing; one whose end is sent may be gone then.

        A limit that is reached ends the connection, as in `_do`.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.queue or stream.state is HALF_CLOSED_LOCAL:
            stream.check_has_no_end()
        try:
            send(stream, what, more)  # not by `_do`: that would cost each message a tenth more
            if stream.state is CLOSED:
                self._streams.remove(stream)
        except ConnectionFault as fault:
            self._end(fault)

    def _do(self, act: Callable[[*Given], object], *given: *Given) -> None:
        """All else that our own side asks for: a limit that it reaches ends the connection."""
        try:
            act(*given)
        except ConnectionFault as fault:
            self._end(fault)

    def _say(self, octets: bytes) -> None:
        """A frame of the whole connection, unless that has ended."""
        if self.ended is None:
            self._do(self._output.signal, octets)

    def _go_on_sending(self) -> None:
        """Data that waited for a write has its turn."""
        for stream in self._sender.flush():
            self.writable.append(StreamWritable(stream.id))
            if stream.state is CLOSED:
                self._streams.remove(stream)

    def _end(self, fault: ConnectionFault) -> None:
        """The last word: a GOAWAY that says what was wrong; of the streams nothing is kept."""
        self.ended = ConnectionEnded(fault.code, fault.reason, fault.limit)
        self._receiver.events.append(self.ended)
        if fault.limit in _OF_A_TURN:
            self._output.take()
        last = max(self._streams.last_peer, 0)
        self._drop()
        self._output.end(goaway_frame(last, fault.code, fault.reason.encode()))

    def _drop(self) -> None:
        """Of streams and of what waits or came in part, nothing is kept."""
        self._sender.drop()
        self._streams.end()
        self._receiver.drop()
