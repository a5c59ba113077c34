"""What came of a connection and is not handled yet, in order."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from server.transport.http2.connection import Connection
from server.transport.http2.events import DataReceived, Event

# A read of this much is less than a few stretches of work, whatever it holds: cutting it up would
# cost each call of an honest caller.
_ONE_STRETCH_BYTES = 4 * 2**10


class Intake:
    """Handles what came until a turn is over, and later goes on where it stopped."""

    __slots__ = ("_clock", "_events", "_handlers", "_http2", "_is_closed", "_on_read", "_reads",
                 "_size", "_stretches", "waiting_bytes")  # fmt: skip

    def __init__(
        self,
        http2: Connection,
        handlers: Mapping[type, Callable[[Any], None]],
        clock: Callable[[], float],
        on_read: Callable[[float], None] | None = None,
    ) -> None:
        """`clock` measures turns; `on_read` is told when what is handled next has come."""
        self._http2 = http2
        self._handlers = dict(handlers)
        self._clock = clock
        self._on_read = on_read
        self._reads: deque[tuple[bytes, float]] = deque()
        self._size = 0  # of the read that is being handled
        self._stretches: Iterator[list[Event]] = iter(())
        self._events: Iterator[Event] = iter(())
        self._is_closed = False
        self.waiting_bytes = 0

    def begin(self, data: bytes, now_s: float) -> None:
        """Takes a read when nothing waits."""
        if len(data) <= _ONE_STRETCH_BYTES:
            if self._on_read is not None:
                self._on_read(now_s)
            self._events = iter(self._http2.receive(data, now_s))
        else:
            self.add(data, now_s)

    def add(self, data: bytes, now_s: float) -> None:
        """Takes a read, which came at `now_s` of the loop's clock."""
        self._reads.append((data, now_s))
        self.waiting_bytes += len(data)

    def handle(self, until_s: float) -> bool:
        """False if something is left when `until_s` of the fine clock has come."""
        clock, handlers = self._clock, self._handlers
        while True:
            for event in self._events:
                kind = type(event)
                if (handler := handlers.get(kind)) is not None:
                    handler(event)
                    # Behind others it is not worth a look: a stretch has few, and each is little.
                    if kind is DataReceived and clock() >= until_s:
                        return self._is_closed
            if not self.waiting_bytes:
                return True
            self._go_on()
            if clock() >= until_s:
                return self._is_closed

    def close(self) -> None:
        """Nothing that waits is handled any more."""
        self._is_closed = True
        self._reads.clear()
        self._stretches, self._events = iter(()), iter(())
        self._handlers.clear()  # nor what is left of a stretch
        self.waiting_bytes = 0

    def _go_on(self) -> None:
        """To the next stretch of a read, or to the next read."""
        if (events := next(self._stretches, None)) is not None:
            self._events = iter(events)
            return
        self.waiting_bytes -= self._size
        self._size = 0
        if self._reads:
            data, now_s = self._reads.popleft()
            if self._on_read is not None:
                self._on_read(now_s)
            self._size = len(data)
            if self._size <= _ONE_STRETCH_BYTES:
                self._events = iter(self._http2.receive(data, now_s))
            else:
                self._stretches = self._http2.receive_in_stretches(data, now_s)
