"""One call as its servicer sees it: the part of grpc.aio.ServicerContext that servicers use."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context as Variables
from typing import Any, TypeAlias

import grpc
from grpc.aio import EOF, AbortError

from server.status_code import Code
from server.transport.grpc.messages import JOINED_BYTES_MAX, in_pieces, prefix, too_large
from server.transport.grpc.metadata import Metadata, metadata_headers, read_metadata
from server.transport.grpc.request import GZIP_RESPONSE_HEAD, RESPONSE_HEAD, RequestHead
from server.transport.grpc.status import OK_TRAILERS, CallRefused, failure_trailers, trailers
from server.transport.http2.errors import ErrorCode
from server.transport.http2.hpack.table import Header
from server.transport.loop.inbox import Inbox
from server.transport.loop.link import Link
from server.transport.loop.turns import Stretches
from server.transport.serving.tally import Tally

Message: TypeAlias = Any  # what the method's serializer takes and its parser gives
_Pairs = Iterable[tuple[str, str | bytes]]
# What gRPC makes a status of that cannot be sent; of others, CANCELLED.
_RESETS = {Code.RESOURCE_EXHAUSTED: ErrorCode.ENHANCE_YOUR_CALM}


class ServerCall:
    """A servicer's context. The status is sent once; what comes after it is not heard.

    Before a unary servicer's first wait there is no current task, unless it is marked `in_task`.
    """

    __slots__ = (
        "_beside", "_callbacks", "_code", "_deadline_s", "_details", "_gzip", "_has_head",
        "_held_bytes", "_link", "_tally", "_timer", "_trailing", "_turn", "began_s", "head",
        "inbox", "is_cancelled", "is_ended", "is_requested", "method", "stream_id", "task",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        tally: Tally,
        beside: "dict[int, ServerCall]",
        stream_id: int,
        head: RequestHead,
        now_s: float,
    ) -> None:
        """`beside` has the open calls of the connection; an ended one is no longer among them."""
        self._link = link
        self._tally = tally
        self._beside = beside
        self.stream_id = stream_id
        self.head = head
        self.method = head.method
        self.began_s = now_s
        self._deadline_s = None if head.timeout_s is None else now_s + head.timeout_s
        self.inbox: Inbox | None = None  # not needed for a request that came whole
        self.is_requested = False  # the whole request came
        self.is_ended = False
        self.is_cancelled = False
        self.task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._callbacks: list[Callable[[ServerCall], object]] | None = None
        self._held_bytes = 0  # of a request whose servicer waits
        self._turn: Stretches | None = None  # if it takes turns
        self._has_head = False  # the head of the response was sent
        self._code = 0
        self._details = ""
        self._trailing: tuple[Header, ...] = ()
        self._gzip = False

    # What servicers call, by the names of grpc.aio.

    def invocation_metadata(self) -> Metadata:
        return read_metadata(self.head.headers)

    def peer(self) -> str:
        return self._link.peer

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self._link.peer_certificate

    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        if self._deadline_s is None:
            return None
        return max(0.0, self._deadline_s - self._link.loop.time())

    def done(self) -> bool:
        return self.is_ended

    def add_done_callback(self, callback: "Callable[[ServerCall], object]") -> None:
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code.value[0]

    def set_details(self, details: str) -> None:
        self._details = details

    def set_trailing_metadata(self, metadata: _Pairs) -> None:
        self._trailing = metadata_headers(metadata)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Of all messages, if the caller can read it; raises RuntimeError when one was sent."""
        if self._has_head:
            raise RuntimeError(
                "the head of the response says how messages are compressed: too late"
            )
        self._gzip = compression is grpc.Compression.Gzip and self.head.accepts_gzip

    async def send_initial_metadata(self, metadata: _Pairs) -> None:
        if self._has_head:
            raise RuntimeError("initial metadata is sent once, before the first message")
        self._send_head(metadata_headers(metadata))
        self._link.flush_soon()

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: _Pairs = ()
    ) -> None:
        """Ends the call; always raises AbortError, for the servicer to end as well."""
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        if code is grpc.StatusCode.OK:
            code, details = grpc.StatusCode.UNKNOWN, "aborted with OK"
        self.end(code.value[0], details)
        raise AbortError

    async def read(self) -> Message:
        """The next message of the request; EOF behind the last."""
        if self.inbox is None:
            return EOF
        try:
            data = await self.inbox.read()
            if data is None:
                return EOF
            await self.turn()  # messages that are there already would be read in one go
            return self.method.parse(data)
        except CallRefused as refusal:
            self.refuse(refusal)
            raise AbortError from refusal

    async def turn(self) -> None:
        """Returns when it is this connection's turn again: for work of more than a moment."""
        if self._turn is None:
            self._turn = Stretches(self._tally.turns, self._link.flow)
        await self._turn.wait()

    def hold(self, more_bytes: int) -> None:
        """Counts so much more as held for the caller, until the call ends."""
        self._held_bytes += more_bytes
        self._link.count_unread(more_bytes)
        self._link.flush_soon()  # which looks at what is held

    async def write(self, message: Message) -> None:
        """Sends a message of the response; waits while the caller reads more slowly than this."""
        if self.is_ended:
            raise asyncio.InvalidStateError("the call has ended")
        serialize = self.method.serialize
        data = message if serialize is None else serialize(message)
        if len(data) > self._tally.limits.message_bytes_max:
            self.refuse(too_large(self._tally.limits.message_bytes_max))
            raise AbortError
        self._send_message((data,))
        await self._link.drained(self.stream_id, len(data))

    # What those that run servicers call.

    def answer(self, message: Message) -> None:
        """Ends a call that has one response; one in bytes may come in parts, or as a view."""
        if self.is_ended:
            return
        if self._code:  # an error has no message
            self.end(self._code, self._details)
            return
        serialize = self.method.serialize
        data = message if serialize is None else serialize(message)
        parts: Sequence[bytes | memoryview]
        if type(data) is bytes:
            parts, size = (data,), len(data)
        else:
            parts = (data,) if type(data) is memoryview else data
            size = sum(map(len, parts))
        if size > self._tally.limits.message_bytes_max:
            self.refuse(too_large(self._tally.limits.message_bytes_max))
        elif self._has_head or self._gzip or size > JOINED_BYTES_MAX:
            self._send_message(parts)
            self.end(0, self._details)
        else:
            whole = prefix(0, size) + b"".join(parts)
            said = self._details or self._trailing  # by hardly any servicer
            status = trailers(0, self._details, self._trailing) if said else OK_TRAILERS
            self._link.connection.send_whole(self.stream_id, RESPONSE_HEAD, whole, status)
            self._close()

    def finish(self) -> None:
        """Ends a call whose responses were all written."""
        self.end(self._code, self._details)

    def fail(self) -> None:
        """Ends a call whose servicer raised: what it raised is not for the caller."""
        self.end(self._code or Code.UNKNOWN, self._details or "the servicer failed")

    def refuse(self, refusal: CallRefused) -> None:
        """Ends a call that the transport itself has to end."""
        if refusal.code is Code.RESOURCE_EXHAUSTED and not self.is_ended:
            self._tally.count_limit("message_bytes", self._link.peer)
            self.set_trailing_metadata(self._tally.too_large(refusal.message))
        self.end(refusal.code, refusal.message)

    def end(self, code: int, details: str) -> None:
        """Sends the status, unless one was sent."""
        if self.is_ended:
            return
        status = (failure_trailers if code else trailers)(code, details, self._trailing)
        if not self._has_head:
            status = (*RESPONSE_HEAD, *status)
        self._link.connection.send_headers(self.stream_id, status, end_stream=True)
        self._close()

    def cancel(self) -> None:
        """The caller has left; the servicer is told."""
        if not self.is_ended:
            self.is_cancelled = True
            self._close()
            self._stop()

    def interrupt(self, code: Code, details: str) -> None:
        """Ends the call under its servicer, which is told."""
        if self.is_ended:
            return
        if self._link.is_held_back(self.stream_id):
            # Trailers would wait behind what the caller does not read.
            self._link.connection.reset(self.stream_id, _RESETS.get(code, ErrorCode.CANCEL))
            self._close()
        else:
            self.end(code, details)
        self.is_cancelled = True
        self._stop()

    def expire(self) -> None:
        self.interrupt(Code.DEADLINE_EXCEEDED, "the deadline has passed")

    def arm(self) -> None:
        """Sets the timer of the deadline, of a call that was not answered at once."""
        if self._deadline_s is not None and not self.is_ended:
            self._timer = self._link.loop.call_at(self._deadline_s, self._come_due)

    def _come_due(self) -> None:
        """A peer may have thousands of deadlines pass at once: they take turns like all it says."""
        self._tally.turns.do(self._link.flow, self.expire)

    def work(self, coroutine: Any, variables: Variables | None = None) -> asyncio.Task[None]:
        """Runs the servicer, or the rest of it, as a task."""
        self.task = task = self._link.loop.create_task(coroutine, context=variables)
        self._tally.keep(task)
        return task

    def _send_head(self, metadata: tuple[Header, ...] = ()) -> None:
        head = GZIP_RESPONSE_HEAD if self._gzip else RESPONSE_HEAD
        self._has_head = True
        self._link.connection.send_headers(self.stream_id, head + metadata if metadata else head)

    def _send_message(self, parts: Sequence[bytes | memoryview]) -> None:
        if not self._has_head:
            self._send_head()
        for piece in in_pieces(parts, gzip=self._gzip):
            self._link.connection.send_data(self.stream_id, piece)

    def _close(self) -> None:
        self.is_ended = True
        if self._turn is not None:
            self._turn.end()
        if self._timer is not None:
            self._timer.cancel()
        if self.inbox is not None:
            self.inbox.close()
        link = self._link
        if self._held_bytes:  # by most calls nothing
            link.count_unread(-self._held_bytes)
        self._beside.pop(self.stream_id, None)
        link.wake(self.stream_id)
        if not (
            self.is_requested
            or self.is_cancelled
            or link.connection.waiting_bytes(self.stream_id)  # a reset would drop it
        ):
            # Nobody reads the rest of the request.
            link.connection.reset(self.stream_id, ErrorCode.NO_ERROR)
        for callback in self._callbacks or ():
            link.loop.call_soon(callback, self)
        link.flush_soon()

    def _stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
