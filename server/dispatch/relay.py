"""Pieces of an answer on their way from an endpoint to a caller, who may take them slowly."""

import asyncio
from collections import deque
from collections.abc import Callable

from server.dispatch.answers import StreamedAnswer
from server.dispatch.exchange import Bytes
from server.dispatch.late_timeout import LateTimeout
from server.transport.held_bytes import HeldBytes

# That wait here for the caller; with as much again that may be read ahead of us, it is 256 KiB a
# stream. Beyond it the endpoint is not read.
WAITING_BYTES_MAX = 128 * 2**10
# What waits is handed over together, for a slow caller is made slower by small pieces; but no more
# than the slowest of links carry in READER_S_MAX.
TAKEN_BYTES_MAX = 16 * 2**10
# Counted in such steps, so that what is taken at once costs nothing to count.
HELD_STEP_BYTES = 16 * 2**10
# A caller that takes nothing for so long is gone, as on a connection.
READER_S_MAX = 30.0


class Relay:
    """Of one stream: its carrier puts pieces in, its caller takes them out by iterating."""

    def __init__(self, now_s: Callable[[], float], held: HeldBytes | None = None) -> None:
        """In `held` is counted what waits."""
        self._now_s = now_s
        self._held = held
        self._pieces: deque[Bytes] = deque()
        self._waiting_bytes = 0
        self._counted_bytes = 0
        self._is_over = False
        self._woken: asyncio.Future[None] | None = None  # the caller waits
        self._room: asyncio.Future[None] | None = None  # the carrier waits
        self._away_since_s: float | None = None  # the caller is, with what it took last
        self._error: BaseException | None = None  # what ended it
        self.answer: StreamedAnswer | None = None  # once it has begun, until it is taken
        self.reader: LateTimeout | None = None  # bounds what the caller does
        self.gives_way = False  # the worker holds too much
        self.blocked_s = 0.0  # for so long the carrier has waited for the caller

    @property
    def is_blocked(self) -> bool:
        """Whether the endpoint waits for the caller, or did so to the end."""
        return self._room is not None

    async def put(self, piece: Bytes) -> None:
        """Returns when the next piece is wanted."""
        if self.gives_way:
            return  # its caller is being ended
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= HELD_STEP_BYTES:
            self._count()
        _wake(self._woken)
        if self._waiting_bytes >= WAITING_BYTES_MAX:
            await self._wait_for_room()

    def finish(self, error: BaseException | None) -> None:
        """Nothing more will be put in; the error is raised behind the last piece."""
        self._is_over, self._error = True, error
        _wake(self._woken)

    def close(self) -> None:
        """Nothing more will be taken."""
        self._pieces.clear()
        self._waiting_bytes, self._error = 0, None
        self._count()

    def reader_due_s(self, now_s: float) -> float:
        """When the caller is ended if it takes nothing until then."""
        if self.gives_way:
            return now_s
        return (now_s if self._away_since_s is None else self._away_since_s) + READER_S_MAX

    async def filled(self) -> None:
        """Returns once there is something to take, or nothing more will be put in."""
        self._away_since_s = None
        try:
            if not (self._pieces or self._is_over):
                self._woken = asyncio.get_running_loop().create_future()
                await self._woken
        finally:
            self._woken, self._away_since_s = None, self._now_s()

    async def begun(self) -> StreamedAnswer:
        """The answer, with its first piece waiting; raises what ended it before."""
        await self.filled()
        answer, self.answer = self.answer, None  # each has the other
        if answer is None:
            self._hold_whole()
            raise RuntimeError("a stream that did not begin has to fail")
        return answer

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> Bytes:
        await self.filled()
        if self._pieces:
            return self._take()
        self._hold_whole()
        raise StopAsyncIteration

    def _hold_whole(self) -> None:
        """Raises what ended the stream, once: kept, an error keeps the request by its frames."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def _take(self) -> Bytes:
        pieces = self._pieces
        taken = [pieces.popleft()]
        size = len(taken[0])
        while pieces and size + len(pieces[0]) <= TAKEN_BYTES_MAX:
            size += len(pieces[0])
            taken.append(pieces.popleft())
        self._waiting_bytes -= size
        if self._counted_bytes:
            self._count()
        if self._room is not None and self._waiting_bytes <= WAITING_BYTES_MAX // 2:
            _wake(self._room)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def _wait_for_room(self) -> None:
        began_s = self._now_s()
        self._room = asyncio.get_running_loop().create_future()
        try:
            await self._room
            self._room = None  # but of a carrier that was ended meanwhile
        finally:
            self.blocked_s += self._now_s() - began_s

    def _count(self) -> None:
        in_steps = self._waiting_bytes - self._waiting_bytes % HELD_STEP_BYTES
        if self._held is not None and in_steps != self._counted_bytes:
            self._counted_bytes = in_steps
            self._held.hold(self._give_way, in_steps)

    def _give_way(self, _limit: str) -> None:
        self.gives_way = True
        self.close()
        if self.reader is not None:
            self.reader.end()


def _wake(waiting: "asyncio.Future[None] | None") -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
