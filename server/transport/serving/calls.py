"""The calls of one connection: what the peer says of a stream goes to the call that it carries."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from server.status_code import Code
from server.transport.grpc.messages import only_message, too_large
from server.transport.grpc.methods import Methods
from server.transport.grpc.request import Refusal, RequestHead, read_head
from server.transport.grpc.status import CallRefused
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import (
    DataReceived,
    Headers,
    HeadersReceived,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)
from server.transport.loop.inbox import Inbox
from server.transport.loop.link import Link
from server.transport.serving import servicing
from server.transport.serving.call import ServerCall
from server.transport.serving.tally import Tally

# Each ends a servicer's task, whose end runs in the next pass of the loop: a millisecond or two.
CANCELLED_AT_ONCE = 50


class Calls:
    """Begins calls, and hands the requests of unary ones over once they are whole."""

    def __init__(self, link: Link, tally: Tally, methods: Methods) -> None:
        self.link = link
        self._tally = tally
        self._methods = methods
        self._open: dict[int, ServerCall] = {}
        self._timed: list[ServerCall] = []  # begun in this read, with a deadline
        self._headers: Headers = ()  # of the last call; the next is often the same
        self._head: RequestHead | Refusal | None = None
        self._came_s = 0.0  # what is handled was read
        self.called_s = 0.0  # the last call began
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            HeadersReceived: self._begin,
            DataReceived: self._receive,
            TrailersReceived: self._receive_trailers,
            StreamReset: self._cancel,
            StreamWritable: self.wake,
        }

    def note_arrival(self, now_s: float) -> None:
        """What is handled next was read then: from there deadlines count, however long it waits."""
        self._came_s = now_s

    def arm(self) -> None:
        """Sets the deadlines of calls that this read has left open."""
        for call in self._timed:
            call.arm()
        self._timed.clear()

    def end_overdue(self, now_s: float) -> None:
        """Ends calls whose unary request takes too long to arrive."""
        seconds = self._tally.limits.request_s_max
        for call in list(self._open.values()):
            waits = not (call.is_requested or call.method.takes_stream)
            if waits and now_s - call.began_s >= seconds:
                self._tally.count_limit("request", self.link.peer)
                call.interrupt(
                    Code.DEADLINE_EXCEEDED, f"the request took longer than {seconds:g} s"
                )

    def end_stalled(self, stream_id: int) -> None:
        """Ends a call whose reader has stalled, or what is left of its answer."""
        self._tally.count_limit("stall", self.link.peer)
        if (call := self._open.get(stream_id)) is not None:
            call.interrupt(Code.RESOURCE_EXHAUSTED, "the caller has stopped reading")
        else:
            self.link.connection.reset(stream_id, ErrorCode.ENHANCE_YOUR_CALM)
            self.link.flush_soon()

    def interrupt(self, code: Code, message: str) -> None:
        """Ends all calls under their servicers."""
        for call in list(self._open.values()):
            call.interrupt(code, message)

    @property
    def lasting(self) -> int:
        """How many are seen through when the connection has retired."""
        return sum(call.method.lasts for call in self._open.values())

    def end_short(self, code: Code, message: str) -> None:
        """Ends all others under their servicers."""
        for call in [call for call in self._open.values() if not call.method.lasts]:
            call.interrupt(code, message)

    def cancel(self) -> None:
        """The peer is gone: so are its calls, of thousands some in each turn."""
        for call in list(islice(self._open.values(), CANCELLED_AT_ONCE)):
            call.cancel()
        if self._open:
            self._tally.turns.ask(self.link.flow, self.cancel)

    def _begin(self, event: HeadersReceived) -> None:
        stream_id, headers, end_stream = event
        if headers is not self._headers or self._head is None:
            self._headers, self._head = headers, read_head(headers, self._methods.find)
        head = self._head
        if isinstance(head, Refusal):
            self._refuse(stream_id, head.response, end_stream)
            return
        self._tally.calls += 1
        self.called_s = self._came_s
        call = ServerCall(self.link, self._tally, self._open, stream_id, head, self._came_s)
        self._open[stream_id] = call
        if head.timeout_s is not None:
            self._timed.append(call)
        if head.method.takes_stream:
            call.inbox = self._inbox(call)
            servicing.start(call, None)
        if end_stream:
            self._receive_late(call, b"", 0, end_stream=True)

    def _receive(self, event: DataReceived) -> None:
        stream_id, data, flow_bytes, end_stream = event
        call = self._open.get(stream_id)
        if call is None:
            self.link.connection.give_back(stream_id, flow_bytes)
        elif end_stream and call.inbox is None and (message := only_message(data)) is not None:
            call.is_requested = True
            self._answer(call, message)
        else:
            self._receive_late(call, data, flow_bytes, end_stream=end_stream)

    def _receive_trailers(self, event: TrailersReceived) -> None:
        if (call := self._open.get(event.stream_id)) is not None:
            self._receive_late(call, b"", 0, end_stream=True)

    def _receive_late(
        self, call: ServerCall, data: bytes, flow_bytes: int, *, end_stream: bool
    ) -> None:
        """Takes a part of a request, or the request of a stream."""
        inbox = call.inbox
        if inbox is None:
            inbox = call.inbox = self._inbox(call)
        call.is_requested = end_stream
        inbox.receive(data, flow_bytes, end=end_stream)
        if call.method.takes_stream or call.task is not None:
            return
        try:
            message = inbox.only()
        except CallRefused as refusal:
            call.refuse(refusal)
            return
        if message is not None:
            self._answer(call, message)
        elif inbox.is_behind:
            call.work(self._inflate(call, inbox))

    async def _inflate(self, call: ServerCall, inbox: Inbox) -> None:
        """Answers a request that inflates to much, once it has been inflated turn by turn."""
        try:
            while inbox.is_behind:
                await call.turn()
                if (message := inbox.only()) is not None:
                    call.task = None
                    self._answer(call, message)
                    return
        except Exception as error:  # noqa: BLE001 - as where servicers run
            servicing.fail(call, error)
        call.task = None  # the rest of it has to come

    def _answer(self, call: ServerCall, message: bytes | memoryview) -> None:
        if len(message) > call.method.message_bytes_max:
            call.refuse(too_large(call.method.message_bytes_max))
        elif call.method.gives_stream:
            servicing.start(call, message)
        else:
            servicing.answer(call, message)
        if not call.is_ended:
            call.hold(len(message))

    def _cancel(self, event: StreamReset) -> None:
        if (call := self._open.get(event.stream_id)) is not None:
            call.cancel()

    def wake(self, event: StreamWritable) -> None:
        """Nothing of a stream waits any more."""
        self.link.wake(event.stream_id)
        if event.stream_id not in self._open:
            # It was answered before its request ended, and now all of the answer has left.
            self.link.connection.reset(event.stream_id, ErrorCode.NO_ERROR)

    def _refuse(self, stream_id: int, response: Headers, end_stream: bool) -> None:
        connection = self.link.connection
        connection.send_headers(stream_id, response, end_stream=True)
        if not end_stream:
            connection.reset(stream_id, ErrorCode.NO_ERROR)

    def _inbox(self, call: ServerCall) -> Inbox:
        bytes_max = call.method.message_bytes_max
        return Inbox(self.link, call.stream_id, bytes_max, gzip=call.head.gzip, turn=call.turn)
