"""A call with one request and one answer."""

from asyncio import AbstractEventLoop, Future

from server.status_code import Code
from server.transport.channel.call import (
    MESSAGE_BYTES_MAX,
    Bytes,
    ClientCall,
    Message,
    framed_parts,
)
from server.transport.grpc.answer import CallFailed, accepts_gzip, check_end
from server.transport.grpc.messages import MessageBuffer, only_message
from server.transport.grpc.status import CallRefused
from server.transport.held_bytes import HeldBytes
from server.transport.http2.events import Headers
from server.transport.http2.hpack.table import Header
from server.transport.loop.link import Link

# An answer is counted as held in steps of this: smaller ones are on their way.
HELD_STEP_BYTES = 64 * 1024
# A call that the peer certainly did not process is made again so often: a fleet that is restarted
# one by one turns a call away once, or twice by bad luck.
RETRIES_MAX = 2


class UnaryCall(ClientCall):
    """Whoever made it awaits `answer`, and leaves it if it gives up."""

    __slots__ = (
        "_buffer", "_gzip", "_held", "_held_bytes", "_message", "_request", "_retries", "answer",
        "gave_way",
    )  # fmt: skip

    def __init__(
        self,
        loop: AbstractEventLoop,
        method: Headers,
        fields: tuple[Header, ...],
        timeout_s: float | None,
        request: Message,
        held: HeldBytes | None = None,
    ) -> None:
        """What comes of a large answer is counted in `held` until the call is left."""
        self._request = framed_parts(request)  # first: one that is too large begins nothing
        super().__init__(loop, method, fields, timeout_s)
        if len(self._request) > 1:
            self.large_bytes = sum(map(len, self._request))
        self._retries = 0
        self._gzip: bool | None = None  # until the answer begins
        self._message: bytes | memoryview | None = None
        self._buffer: MessageBuffer | None = None  # of an answer that did not come in one piece
        self._held = held
        self._held_bytes = 0
        self.gave_way = ""  # the limit, if it did
        self.answer: Future[Bytes] = loop.create_future()

    def open(self, link: Link) -> int:
        http2, request = link.connection, self._request
        if len(request) == 1:
            return http2.request(self.headers(), request[0])
        stream_id = http2.open_stream(self.headers())
        for part in request[:-1]:
            http2.send_data(stream_id, part)
        http2.send_data(stream_id, request[-1], end_stream=True)
        return stream_id

    def on_head(self, headers: Headers) -> None:
        self._gzip = accepts_gzip(headers)

    def on_data(self, data: bytes, flow_bytes: int) -> int:
        if self._buffer is None:
            message = only_message(data)
            if message is not None and self._message is None:
                self._message = message
                return 0  # only trailers are left, which no window holds back
            self._buffer = MessageBuffer(MESSAGE_BYTES_MAX, gzip=self._gzip is True)
        self._collect(self._buffer, data)
        return flow_bytes

    def _collect(self, buffer: MessageBuffer, data: bytes) -> None:
        buffer.append(data)
        try:
            while (message := buffer.next()) is not None or buffer.is_behind:
                if message is None:
                    continue
                if self._message is not None:
                    raise CallFailed(Code.INTERNAL, "the answer has more than one message")
                self._message = message
        except CallRefused as refused:
            raise CallFailed(refused.code, refused.message) from None
        held_bytes = buffer.held_bytes + len(self._message or b"")
        if held_bytes >= self._held_bytes + HELD_STEP_BYTES:
            self._hold(held_bytes)

    def _hold(self, held_bytes: int) -> None:
        self._held_bytes = held_bytes
        if self._held is not None:
            self._held.hold(self.give_way, held_bytes)

    def give_way(self, limit: str) -> None:
        """Ends the call, for too much is held."""
        self.gave_way = limit
        self.fail(CallFailed(Code.RESOURCE_EXHAUSTED, "too much is held to take the answer"))

    def forget_failure(self) -> None:
        """Who was cancelled in the turn in which the call failed does not hear of that."""
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()

    def leave(self) -> None:
        super().leave()
        if self._held_bytes:
            self._hold(0)

    def on_end(self, trailers: Headers) -> None:
        check_end(trailers)
        message, buffer = self._message, self._buffer
        if message is None or not (buffer is None or buffer.is_between):
            raise CallFailed(Code.INTERNAL, "the answer ended without a whole message")
        self._stop_timer()
        if not self.answer.done():  # else it was cancelled, and its task will hear of it
            self.answer.set_result(message)

    def on_writable(self) -> None:
        """All of it was given to the connection at once."""

    def again(self) -> bool:
        if self._retries == RETRIES_MAX or self._gzip is not None or self.answer.done():
            return False
        self._retries += 1
        return True

    def _settle(self, failure: CallFailed) -> None:
        if not self.answer.done():
            # These have frames, and frames have this call and what came of its answer.
            failure.__traceback__ = failure.__context__ = None
            self.answer.set_exception(failure)
