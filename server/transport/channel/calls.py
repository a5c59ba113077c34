"""The calls that are out on one connection: what the peer says of a stream goes to its call."""

from collections.abc import Callable, Mapping
from typing import Any

from server.status_code import Code
from server.transport.channel.call import ClientCall
from server.transport.channel.keepalive import Silence
from server.transport.grpc.answer import CallFailed, reset_failure, says_status
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import (
    DataReceived,
    Headers,
    HeadersReceived,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)
from server.transport.loop.link import Link


class Calls:
    """Each has a stream of its own until it ends, at the peer or here."""

    def __init__(
        self,
        link: Link,
        silence: Silence,
        *,
        on_last: Callable[[], None],
        on_ended: Callable[[], None],
        again: Callable[[ClientCall], None],
    ) -> None:
        """`on_ended` is called for each that ends, and before that `on_last` if none is left.

        `silence` notes the peer's answers; `again` begins a call anew that the peer has not
        processed.
        """
        self.out: dict[int, ClientCall] = {}
        self._link = link
        self._silence = silence
        self._on_last = on_last
        self._on_ended = on_ended
        self._again = again
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            HeadersReceived: self._receive_head,
            DataReceived: self._receive_data,
            TrailersReceived: self._receive_trailers,
            StreamReset: self._receive_reset,
        }

    def begin(self, call: ClientCall) -> int:
        """Opens its stream; raises NoStreamFree."""
        stream_id = call.open(self._link)
        self.out[stream_id] = call
        call.place, call.stream_id = self, stream_id
        self._link.flush_soon()
        return stream_id

    def leave(self, call: ClientCall) -> None:
        """The call is cancelled at the peer."""
        del self.out[call.stream_id]
        self._link.connection.reset(call.stream_id, ErrorCode.CANCEL)
        self._link.flush_soon()
        self._free()

    def wake(self, event: StreamWritable) -> None:
        """Nothing of a stream waits any more."""
        if (call := self.out.get(event.stream_id)) is not None:
            call.on_writable()

    def wake_all(self) -> None:
        for call in self.out.values():
            call.on_writable()

    def fail_all(self, code: Code, reason: str) -> None:
        """The connection is over."""
        calls, self.out = self.out, {}
        for call in calls.values():
            call.place = None
            call.fail(CallFailed(code, reason))

    def _free(self) -> None:
        if not self.out:
            self._on_last()
        self._on_ended()

    def _receive_head(self, event: HeadersReceived) -> None:
        if self._silence.pings:
            self._silence.note_answer()
        stream_id, headers, end_stream = event
        if end_stream and says_status(headers):
            self._end(stream_id, headers)
        elif (call := self.out.get(stream_id)) is not None:  # else it has left
            try:
                call.on_head(headers)
            except CallFailed as failure:
                call.fail(failure)
            if end_stream:
                self._end(stream_id, ())

    def _receive_data(self, event: DataReceived) -> None:
        if self._silence.pings:
            self._silence.note_answer()
        stream_id, data, flow_bytes, end_stream = event
        if (call := self.out.get(stream_id)) is not None:
            try:
                if taken_bytes := call.on_data(data, flow_bytes):
                    self._link.connection.give_back(stream_id, taken_bytes)
            except CallFailed as failure:
                call.fail(failure)
            if end_stream:
                self._end(stream_id, ())

    def _receive_trailers(self, event: TrailersReceived) -> None:
        if self._silence.pings:
            self._silence.note_answer()
        self._end(event.stream_id, event.headers)

    def _end(self, stream_id: int, trailers: Headers) -> None:
        call = self.out.pop(stream_id, None)
        if call is not None:
            call.place = None
            self._link.connection.reset(stream_id, ErrorCode.CANCEL)  # nobody wants what is unsent
            if not self.out:
                self._on_last()
            self._on_ended()
            try:
                call.on_end(trailers)
            except CallFailed as failure:
                call.fail(failure)

    def _receive_reset(self, event: StreamReset) -> None:
        call = self.out.pop(event.stream_id, None)
        if call is None:
            return
        call.place = None
        if event.code == ErrorCode.REFUSED_STREAM and call.again():
            self._again(call)
        else:
            call.fail(_failure(event))
        self._free()


def _failure(event: StreamReset) -> CallFailed:
    """A stream that the peer has broken says of the peer what a broken connection says."""
    if not event.error or event.code == ErrorCode.ENHANCE_YOUR_CALM:  # that is a limit of ours
        return reset_failure(event.code)
    return CallFailed(Code.UNAVAILABLE, f"HTTP/2 failed: {event.error}")
