"""Keeps what was learned on the disk: written once a window, beside the loop; read at a start."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from server.control.kept_file import read_or_set_aside, write_whole
from server.control.state_file import (
    STATE_BYTES_MAX,
    Kept,
    Plain,
    StateTooLarge,
    packed,
    unpacked,
)
from server.version import VERSION

_log = structlog.get_logger()
_Known = TypeVar("_Known")


class _Taken(NamedTuple):
    plain: Plain
    now_s: float


class StateKeeper:
    """Writes the newest of what it is given, and skips what was replaced while it wrote."""

    def __init__(self, path: Path, on_written: Callable[[], None] = lambda: None) -> None:
        """`on_written` is called in a thread once something of ours is on the disk."""
        self._path = path
        self._on_written = on_written
        self._newest: _Taken | None = None
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._body = b""  # as it is on the disk

    def restore(self, take_up: Callable[[Kept], _Known]) -> _Known | None:
        """What `take_up` makes of what was kept; None where there is nothing, or nothing of ours.

        What is not ours is named in the log and set aside. `take_up` may raise StateInvalid.
        """
        return read_or_set_aside(
            self._path,
            lambda content: take_up(unpacked(content)),
            bytes_max=STATE_BYTES_MAX,
            lost="what was learned is lost, it is learned anew",
        )

    def take(self, plain: Plain, *, now_s: float) -> None:
        """Has this written when the loop gets to it, in place of what still waits."""
        self._newest = _Taken(plain, now_s)
        self._news.set()

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            await self._news.wait()
            await self.write()

    async def write(self) -> None:
        """Returns once what was taken last is on the disk; a full disk is only told."""
        async with self._writing:  # or of two at once the older might come last
            taken, self._newest = self._newest, None
            self._news.clear()
            if taken is None:
                return
            writing = asyncio.ensure_future(asyncio.to_thread(self._try_write, taken))
            try:
                await asyncio.shield(writing)
            finally:  # a thread cannot be stopped: who is cancelled waits too, and lets nobody in
                await asyncio.wait((writing,))

    def _try_write(self, taken: _Taken) -> None:
        try:
            self._write(taken)
        except (OSError, StateTooLarge) as error:  # no reason to stop planning
            _log.warning("what was learned cannot be kept", error=str(error))

    def _write(self, taken: _Taken) -> None:
        head, body = packed(taken.plain, written_s=taken.now_s, version=VERSION)
        if body != self._body or not self._path.exists():
            write_whole(self._path, head + body)
            self._body = body
            self._on_written()
