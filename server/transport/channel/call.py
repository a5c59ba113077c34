"""What calls of any kind are to a channel: a head, a deadline, and a place until they end."""

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Protocol

from server.status_code import Code
from server.transport.grpc.answer import CallFailed
from server.transport.grpc.messages import prefix
from server.transport.grpc.metadata import timeout_header
from server.transport.http2.events import Headers
from server.transport.http2.hpack.table import Header
from server.transport.loop.link import Link

Bytes = bytes | memoryview
Message = Bytes | Sequence[Bytes]  # whole, or in parts that are sent one after the other

MESSAGE_BYTES_MAX = 64 * 2**20
# A message up to this size is joined and sent as one frame; to join a larger one would cost more
# than the frames that its parts need.
JOINED_BYTES_MAX = 16 * 1024 - 5  # and its prefix
_TIMEOUTS_REMEMBERED = 256  # most calls have the deadline of their class, less a millisecond or two


class Place(Protocol):
    """Where a call is until it ends: a connection, or the queue for one."""

    def leave(self, call: "ClientCall") -> None:
        """The call has ended before the peer has ended it."""


class ClientCall(ABC):
    """Sends what it has once it has a stream, and hears what the peer says on that."""

    __slots__ = (
        "_deadline_s", "_fields", "_loop", "_method", "_timer", "large_bytes", "place", "stream_id",
    )  # fmt: skip

    def __init__(
        self,
        loop: AbstractEventLoop,
        method: Headers,
        fields: tuple[Header, ...],
        timeout_s: float | None,
    ) -> None:
        """`method` is what all calls of a method begin with, `fields` is this call's metadata."""
        self._loop = loop
        self._method = method
        self._fields = fields
        self._deadline_s: float | None = None
        self._timer: TimerHandle | None = None
        if timeout_s is not None:
            self._deadline_s = loop.time() + timeout_s
            self._timer = loop.call_later(timeout_s, self._expire)
        self.place: Place | None = None
        self.stream_id = 0
        self.large_bytes = 0  # of a request that is given to the connection at once, if it is large

    @abstractmethod
    def open(self, link: Link) -> int:
        """Sends what is there to be sent on a new stream; raises NoStreamFree."""

    @abstractmethod
    def on_head(self, headers: Headers) -> None:
        """Raises CallFailed if the answer is no good; so do the next two."""

    @abstractmethod
    def on_data(self, data: bytes, flow_bytes: int) -> int:
        """How many bytes of flow control to give back now."""

    @abstractmethod
    def on_end(self, trailers: Headers) -> None:
        """The peer has said all that it will say."""

    @abstractmethod
    def on_writable(self) -> None:
        """What was sent does not wait any more."""

    @abstractmethod
    def again(self) -> bool:
        """Whether the call can be made again; true makes it as new."""

    @abstractmethod
    def _settle(self, failure: CallFailed) -> None:
        """Tells the caller."""

    def headers(self) -> Sequence[Header]:
        """The request's head, with the time that is left now."""
        if self._deadline_s is None:
            return (*self._method, *self._fields)
        left_s = max(self._deadline_s - self._loop.time(), 0.0)
        return [*self._method, _timeout_header(ceil(left_s * 1e3)), *self._fields]

    def fail(self, failure: CallFailed) -> None:
        """Ends the call, here and at the peer."""
        self.leave()
        self._settle(failure)

    def leave(self) -> None:
        """Ends the call at the peer and tells nobody."""
        if self._timer is not None:
            self._stop_timer()
        if self.place is not None:
            place, self.place = self.place, None
            place.leave(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self.fail(CallFailed(Code.DEADLINE_EXCEEDED, "no answer came within the deadline"))


@lru_cache(_TIMEOUTS_REMEMBERED)
def _timeout_header(timeout_ms: int) -> Header:
    """Rounded up, as gRPC does: the deadline itself is kept here."""
    return timeout_header(timeout_ms / 1e3)


def framed_parts(message: Message) -> Sequence[Bytes]:
    """A message as it travels: in one piece, or its prefix and its parts as they are."""
    parts = (message,) if isinstance(message, bytes | memoryview) else message
    size = sum(map(len, parts))
    if size <= JOINED_BYTES_MAX:
        return (b"".join((prefix(0, size), *parts)),)
    if size > MESSAGE_BYTES_MAX:
        raise CallFailed(
            Code.RESOURCE_EXHAUSTED, f"the request is larger than {MESSAGE_BYTES_MAX:,} bytes"
        )
    return (prefix(0, size), *parts)
