"""The receiving half of a connection: frames in, events out, faults answered.

A StreamFault becomes RST_STREAM here; a ConnectionFault goes on to the connection, which it ends.
"""

from collections.abc import Iterator

from server.transport.http2 import frames
from server.transport.http2.blocks import Blocks
from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault
from server.transport.http2.events import (
    DataReceived,
    Event,
    StreamRefused,
    StreamReset,
    StreamWritable,
)
from server.transport.http2.fields import NO_LENGTH
from server.transport.http2.floods import Floods
from server.transport.http2.frames import PREFACE, FrameReader
from server.transport.http2.heads import Heads
from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.inflow import Inflow
from server.transport.http2.limits import Limits
from server.transport.http2.sender import Sender
from server.transport.http2.signals import Signals
from server.transport.http2.states import CLOSED, HALF_CLOSED_REMOTE, check_may_come
from server.transport.http2.stream import Stream
from server.transport.http2.streams import STREAMS_ALWAYS, StreamTable

# Within a millisecond even where each frame is a head.
STRETCH_FRAMES = 64
# Fields of a head, or octets of one that was too large, that cost about as much as a frame.
FIELDS_A_FRAME = 8


class Receiver:
    """Knows what a peer may send at any moment, and tells what it meant."""

    def __init__(
        self, limits: Limits, floods: Floods, sender: Sender, inflow: Inflow, streams: StreamTable,
        *, client: bool
    ) -> None:  # fmt: skip
        self.events: list[Event] = []
        self._client = client
        self._limits = limits
        self._floods = floods
        self._sender = sender
        self._inflow = inflow
        self._streams = streams
        self._reader = FrameReader(limits.frame_bytes)
        self._blocks = Blocks(limits, floods)
        decoder = Decoder(list_bytes_max=limits.header_list_bytes)
        self._heads = Heads(decoder, floods, streams, client=client)
        self._signals = Signals(
            limits, floods=floods, sender=sender, streams=streams, decoder=decoder, client=client
        )
        self._preface_left = b"" if client else PREFACE
        self._frames: Iterator[frames.Frame] = iter(())  # of the read, that are left
        self._work = 0  # of this stretch, in frames
        self._only: int | None = frames.SETTINGS  # the one type of frame that may come next

    @property
    def held_bytes(self) -> int:
        """What came of a frame and a header block that are not complete."""
        return len(self._reader.partial) + len(self._blocks.octets)

    def begin(self, data: bytes) -> None:
        """Takes a read; raises ConnectionFault."""
        if self._preface_left:
            data = self._without_preface(data)
        self._frames = self._reader.read(data)

    def go_on(self) -> bool:
        """Does a stretch of work on the read; false once nothing of it is left.

        What it has found is in `events`. Raises ConnectionFault; what came before it has been told
        all the same.
        """
        self._work = 0
        for kind, flags, stream_id, payload in self._frames:
            try:
                if self._only is not None and kind != self._only:
                    raise _wrong("another type of frame has to come here")
                # Looked at here, for these two come with each call.
                if kind == frames.DATA:
                    self._take_data(flags, stream_id, payload)
                elif kind == frames.HEADERS:
                    self._take_headers(flags, stream_id, payload)
                else:
                    self._take_other(kind, flags, stream_id, payload)
            except StreamFault as fault:
                self._answer(stream_id, fault)
            self._work += 1
            if self._work >= STRETCH_FRAMES:
                break
        if self._sender.ready:  # what came may have opened windows
            self._go_on_sending()
        return self._work >= STRETCH_FRAMES

    def take_events(self) -> list[Event]:
        """Those since it was asked last."""
        events, self.events = self.events, []
        return events

    def drop(self) -> None:
        """Nothing is kept of a frame or a header block that is not complete."""
        self._frames = iter(())
        self._reader = FrameReader(self._limits.frame_bytes)
        self._blocks = Blocks(self._limits, self._floods)

    def _go_on_sending(self) -> None:
        for stream in self._sender.flush():
            self.events.append(StreamWritable(stream.id))
            if stream.state is CLOSED:
                self._streams.remove(stream)

    def _without_preface(self, data: bytes) -> bytes:
        expected = self._preface_left[: len(data)]
        if not data.startswith(expected):
            raise _wrong("the preface is not that of HTTP/2")
        self._preface_left = self._preface_left[len(data) :]
        return data[len(expected) :]

    def _take_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = self._blocks.begin(flags, stream_id, payload)
        if block is None:
            self._only = frames.CONTINUATION
        else:
            self._take_block(stream_id, block, flags & frames.END_STREAM != 0)

    def _take_other(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == frames.CONTINUATION:
            self._take_continuation(flags, stream_id, payload)
            return
        self.events += self._signals.take(kind, flags, stream_id, payload)
        self._only = None  # if it was the first SETTINGS

    def _answer(self, stream_id: int, fault: StreamFault) -> None:
        self._floods.count("stream_errors")
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        self._streams.reset(stream, fault.code)
        if self._client or stream.head_received:  # or the application never heard of it
            self.events.append(StreamReset(stream_id, fault.code, fault.reason))

    def _take_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = self._blocks.go_on(flags, stream_id, payload)
        if block is not None:
            self._only = None
            self._take_block(stream_id, block, self._blocks.end_stream)

    def _take_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        headers = self._heads.decode(block)
        if len(block) >= FIELDS_A_FRAME:  # each field takes an octet at least
            self._work += len(block if headers is None else headers) // FIELDS_A_FRAME
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._open(stream_id)
            if stream is None:
                if headers is None:  # it was work to read all the same
                    self._floods.count("ignored_frames")
                return
        if stream.state is HALF_CLOSED_REMOTE:
            check_may_come(frames.HEADERS, HALF_CLOSED_REMOTE)
        if headers is None:
            raise self._too_large(stream)
        event = self._heads.take(stream, headers, end_stream)
        if event is not None:
            self.events.append(event)

    def _open(self, stream_id: int) -> Stream | None:
        """The stream of a request; None for a head that is to be ignored."""
        streams = self._streams
        if self._client or stream_id & 1 == 0 or stream_id <= streams.last_peer:
            check_may_come(frames.HEADERS, streams.state(stream_id))
            return None
        streams.peer_opens(stream_id)
        if stream_id > streams.last_accepted:
            streams.discard_rest(stream_id)
            return None
        stream = streams.add(stream_id, self._limits.stream_window_bytes)
        open_here, in_all = len(streams), streams.in_all
        if open_here > self._limits.concurrent_streams:
            self._refuse(stream, "concurrent_streams")
        elif in_all.open > in_all.most and open_here > STREAMS_ALWAYS:
            self._refuse(stream, "streams_in_all")
        else:
            return stream
        return None

    def _refuse(self, stream: Stream, limit: str) -> None:
        self._floods.count("refused_streams")
        self._streams.reset(stream, ErrorCode.REFUSED_STREAM)
        self.events.append(StreamRefused(stream.id, limit))

    def _too_large(self, stream: Stream) -> StreamFault:
        if not self._client:
            self.events.append(StreamRefused(stream.id, "header_list_bytes"))
        return StreamFault(ErrorCode.ENHANCE_YOUR_CALM, "the header list is too large")

    def _take_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        flow_bytes = len(payload)
        data = frames.without_padding(payload) if flags & frames.PADDED else payload
        stream = self._streams.get(stream_id)
        self._inflow.count_received(stream, flow_bytes)
        if stream is None:
            self._take_late_data(stream_id, data, flow_bytes)
            return
        if stream.state is HALF_CLOSED_REMOTE:
            check_may_come(frames.DATA, HALF_CLOSED_REMOTE)
        if not stream.head_received:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "DATA before the head of the response")
        if stream.content_left != NO_LENGTH:
            stream.content_left -= len(data)
            if stream.content_left < 0:
                raise StreamFault(ErrorCode.PROTOCOL_ERROR, "more DATA than content-length says")
        end_stream = flags & frames.END_STREAM != 0
        if not data and not end_stream:
            self._floods.count("empty_frames")
        if end_stream:
            self._streams.peer_ends(stream)
        self.events.append(DataReceived(stream_id, data, flow_bytes, end_stream))

    def _take_late_data(self, stream_id: int, data: bytes, flow_bytes: int) -> None:
        check_may_come(frames.DATA, self._streams.state(stream_id))
        if not data:
            self._floods.count("ignored_frames")
        self._inflow.discard(flow_bytes)


def _wrong(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, reason)
