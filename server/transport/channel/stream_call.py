"""A call with a stream of requests, of answers or of both, with back pressure both ways."""

import asyncio
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from server.status_code import Code
from server.transport.channel.call import (
    MESSAGE_BYTES_MAX,
    Bytes,
    ClientCall,
    Message,
    framed_parts,
)
from server.transport.grpc.answer import CallFailed, accepts_gzip, check_end
from server.transport.grpc.metadata import Metadata, read_metadata
from server.transport.grpc.status import CallRefused
from server.transport.http2.events import Headers
from server.transport.http2.hpack.table import Header
from server.transport.loop.inbox import Inbox
from server.transport.loop.link import Link

# Of a message, as much is given to the connection at once: what waits there for the windows of a
# thousand streams stays below what it may hold.
_PIECE_BYTES = 64 * 1024


class StreamCall(ClientCall):
    """Iterates over the answers; leaving it as a context cancels what is not over."""

    __slots__ = (
        "_answered", "_failure", "_half_closed", "_inbox", "_initial_metadata", "_link", "_opened",
        "_sending", "_writable", "trailing_metadata",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        method: Headers,
        fields: tuple[Header, ...],
        timeout_s: float | None,
    ) -> None:
        super().__init__(loop, method, fields, timeout_s)
        self._opened, self._answered = asyncio.Event(), asyncio.Event()  # set when it is over, too
        self._writable = asyncio.Event()
        self._sending = asyncio.Lock()  # messages do not mix
        self._link: Link | None = None
        self._inbox: Inbox | None = None
        self._half_closed = False
        self._failure: CallFailed | None = None
        self._initial_metadata: Metadata = ()
        self.trailing_metadata: Metadata = ()  # once it is over

    async def send(self, message: Message) -> None:
        """Returns when the peer takes more; raises CallFailed when the call is over."""
        parts = framed_parts(message)
        async with self._sending:
            await self._opened.wait()
            try:
                for piece in _pieces(parts):
                    await self._send(piece)
            except asyncio.CancelledError:
                self.cancel()  # what was sent of the message cannot be taken back
                raise

    async def _send(self, piece: Bytes) -> None:
        if self._link is None or self.place is None:
            raise self._raised() or CallFailed(Code.OK, "the server has ended the call")
        self._link.connection.send_data(self.stream_id, piece)
        self._link.flush_soon()
        await asyncio.sleep(0)  # for a window that never closes: others have their turn
        while self._is_held_back(self._link):
            self._writable.clear()
            await self._writable.wait()

    def _is_held_back(self, link: Link) -> bool:
        if self.place is None:
            return False
        return link.is_congested or link.connection.waiting_bytes(self.stream_id) > 0

    def half_close(self) -> None:
        """No more messages will be sent."""
        is_first, self._half_closed = not self._half_closed, True
        if is_first and self._link is not None and self.place is not None:
            self._link.connection.send_data(self.stream_id, b"", end_stream=True)
            self._link.flush_soon()

    def cancel(self) -> None:
        if self.place is not None:
            self.fail(CallFailed(Code.CANCELLED, "the caller cancelled the call"))

    async def initial_metadata(self) -> Metadata:
        """Comes with the head of the answer; empty if the call failed before it."""
        await self._answered.wait()
        return self._initial_metadata

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await self._answered.wait()
        message = None if self._inbox is None else await self._read(self._inbox)
        if message is not None:
            return message
        if (failure := self._raised()) is not None:
            raise failure
        raise StopAsyncIteration

    async def _read(self, inbox: Inbox) -> bytes | None:
        try:
            message = await inbox.read()
            return None if message is None else bytes(message)
        except CallRefused as refused:
            if self._failure is None:
                self.fail(CallFailed(refused.code, refused.message))
            return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def open(self, link: Link) -> int:
        self.stream_id = link.connection.open_stream(self.headers(), end_stream=self._half_closed)
        self._link = link
        self._opened.set()
        return self.stream_id

    def on_head(self, headers: Headers) -> None:
        if self._link is not None:
            gzip = accepts_gzip(headers)
            self._inbox = Inbox(
                self._link, self.stream_id, MESSAGE_BYTES_MAX, gzip=gzip, turn=_next_turn
            )
        self._initial_metadata = read_metadata(headers)
        self._answered.set()

    def on_data(self, data: bytes, flow_bytes: int) -> int:
        if self._inbox is not None:
            self._inbox.receive(data, flow_bytes, end=False)
        return 0  # what is read is given back by the inbox

    def on_end(self, trailers: Headers) -> None:
        self.trailing_metadata = read_metadata(trailers)
        if self._inbox is not None:
            self._inbox.receive(b"", 0, end=True)
        check_end(trailers)
        self._end()

    def on_writable(self) -> None:
        self._writable.set()

    def again(self) -> bool:
        """Never: what was sent is not kept."""
        return False

    def _settle(self, failure: CallFailed) -> None:
        self._failure = failure
        if self._inbox is not None and not self._inbox.is_ended:
            self._inbox.close()
        self._end()

    def _raised(self) -> CallFailed | None:
        """Another one each time: what was raised has frames, and frames have this call."""
        failure = self._failure
        return failure and CallFailed(failure.code, str(failure), failure.metadata)

    def _end(self) -> None:
        """Whoever waits for anything finds out."""
        self._stop_timer()
        self._opened.set()
        self._answered.set()
        self._writable.set()


async def _next_turn() -> None:
    await asyncio.sleep(0)


def _pieces(parts: Iterable[Bytes]) -> Iterator[Bytes]:
    for part in parts:
        view = memoryview(part)
        for at in range(0, len(part), _PIECE_BYTES):
            yield view[at : at + _PIECE_BYTES]
