"""The messages of one direction, read one by one; what is not read holds the sender back."""

import asyncio
from collections.abc import Awaitable, Callable

from server.status_code import Code
from server.transport.grpc.messages import MessageBuffer
from server.transport.grpc.status import CallRefused
from server.transport.loop.link import Link


class Inbox:
    """The peer's half of one stream: a request at a server, an answer at a channel."""

    __slots__ = (
        "_arrived",
        "_buffer",
        "_held_bytes",
        "_is_read",
        "_link",
        "_only",
        "_owed_bytes",
        "_stream_id",
        "_taken_bytes",
        "_turn",
        "is_ended",
    )

    def __init__(
        self,
        link: Link,
        stream_id: int,
        message_bytes_max: int,
        *,
        gzip: bool,
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        """`turn` lets others go on before more of a message is inflated."""
        self._link = link
        self._turn = turn
        self._stream_id = stream_id
        self._buffer = MessageBuffer(message_bytes_max, gzip=gzip)
        self._arrived = asyncio.Event()
        self._held_bytes = 0  # of the buffer, as the link knows it
        self._owed_bytes = 0  # of the windows, given back when they are read
        self._taken_bytes = 0  # of those that came, when all windows were given back
        self._is_read = False  # somebody waits for the next message
        self._only: bytes | memoryview | None = (
            None  # message of a unary request that has not ended; unread
        )
        self.is_ended = False

    def receive(self, data: bytes, flow_bytes: int, *, end: bool) -> None:
        """Takes what came, to be read later."""
        self._buffer.append(data)
        self._count_held()
        self._owed_bytes += flow_bytes
        if end:
            self.is_ended = True
        if self._is_read:
            self.give_back()
        self._arrived.set()

    @property
    def is_behind(self) -> bool:
        """More of a message can be inflated, though nothing more has come."""
        return self._buffer.is_behind

    async def read(self) -> bytes | memoryview | None:
        """The next message; None at the end. Raises CallRefused."""
        while (message := self.take()) is None:
            if self.is_behind:
                await self._turn()
                continue
            if self.is_ended:
                return None
            self.give_back()  # a part of a message must not wait for its rest to be let in
            self._arrived.clear()
            self._is_read = True
            try:
                await self._arrived.wait()
            finally:
                self._is_read = False
        return message

    def take(self) -> bytes | memoryview | None:
        """The next message if it is there; raises CallRefused."""
        try:
            message = self._buffer.next()
        finally:
            self._count_held()
        if message is not None:
            self._give_back(self._buffer.taken_bytes - self._taken_bytes)
            self._taken_bytes = self._buffer.taken_bytes
        elif self.is_ended and not (self._buffer.is_between or self._buffer.is_behind):
            raise CallRefused(Code.INTERNAL, "a message is cut short: the stream ends inside it")
        return message

    def only(self) -> bytes | memoryview | None:
        """The message of a unary request, once that has come whole; raises CallRefused."""
        self.give_back()
        if self._only is None and (message := self.take()) is not None:
            self._only = message
            self._link.count_unread(len(message))
        if self._only is not None and not self._buffer.is_between:
            raise CallRefused(Code.UNIMPLEMENTED, "the method takes one message, not more")
        if self.is_ended and self._only is None and not self._buffer.is_behind:
            raise CallRefused(Code.UNIMPLEMENTED, "the method takes one message, not none")
        return self._give_only() if self.is_ended else None

    def give_back(self) -> None:
        """Opens the windows by all that came."""
        self._taken_bytes = self._buffer.taken_bytes
        self._give_back(self._owed_bytes)

    def close(self) -> None:
        """Nobody reads any more: whoever waits finds the end."""
        self.is_ended = True
        self._buffer.clear()
        self._count_held()
        self._give_only()
        self.give_back()
        self._arrived.set()

    def _count_held(self) -> None:
        held_bytes = self._buffer.held_bytes
        if held_bytes != self._held_bytes:
            self._link.count_unread(held_bytes - self._held_bytes)
            self._held_bytes = held_bytes
        if (
            self._buffer.is_behind
        ):  # nothing comes, and more is held all the same: a flush looks at it
            self._link.flush_soon()

    def _give_only(self) -> bytes | memoryview | None:
        message, self._only = self._only, None
        if message is not None:
            self._link.count_unread(-len(message))
        return message

    def _give_back(self, count: int) -> None:
        count = min(count, self._owed_bytes)
        if count:
            self._owed_bytes -= count
            self._link.connection.give_back(self._stream_id, count)
            self._link.flush_soon()
