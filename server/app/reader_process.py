"""The worker's end of the process that reads large chats."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from server.app.chat_reader import LENGTH_BYTES, framed

_COMMAND = (sys.executable, "-m", "server.app.chat_reader")
# It takes 0.1 s on a machine that is idle.
START_S_MAX = 10.0
# The worst body takes 30 ms: this is a machine that is 60 times slower, or a fault of ours.
ANSWER_S_MAX = 2.0
# After a start that failed none is tried for as long.
START_AGAIN_S = 1.0

_log = structlog.get_logger()


class StartFailed(Exception):
    """There is no process that reads."""


class Died(Exception):
    """The process ended before it answered."""


@dataclass(slots=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes:
        length = int.from_bytes(await self.reader.readexactly(LENGTH_BYTES), "big")
        return await self.reader.readexactly(length)


class ReaderProcess:
    """Is started when it is first asked, and again when it died. Answers one body at a time."""

    def __init__(
        self,
        command: Sequence[str] = _COMMAND,
        *,
        answer_s_max: float = ANSWER_S_MAX,
        start_again_s: float = START_AGAIN_S,
    ) -> None:
        self.answer_s_max = answer_s_max
        self._command = command
        self._start_again_s = start_again_s
        self._failed_s: float | None = None  # when it last did not start
        self._running: _Running | None = None

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        return None if self._running is None else self._running.process.pid

    async def ask(self, body: bytes | memoryview) -> bytes:
        """Raises StartFailed, Died, or TimeoutError; then it is ended, if it had not ended."""
        running = self._running or await self._start()
        try:
            running.writer.write(framed(body))
            async with asyncio.timeout(self.answer_s_max):
                return await running.answer()
        except (OSError, asyncio.IncompleteReadError) as error:  # TimeoutError is an OSError
            status = await self.stop()
            _log.error("chat reader ended", status=status, body_bytes=len(body), error=str(error))
            if isinstance(error, TimeoutError):
                raise
            raise Died from error

    async def stop(self) -> int | None:
        """Ends it; returns its exit status."""
        running, self._running = self._running, None
        if running is None:
            return None
        running.writer.transport.abort()
        running.process.kill()
        return await asyncio.to_thread(running.process.wait)

    async def _start(self) -> _Running:
        now_s = asyncio.get_running_loop().time()
        if self._failed_s is not None and now_s < self._failed_s + self._start_again_s:
            raise StartFailed
        try:
            running = await self._spawn()
            async with asyncio.timeout(START_S_MAX):
                await running.answer()
        except (OSError, asyncio.IncompleteReadError) as error:
            self._failed_s = asyncio.get_running_loop().time()
            status = await self.stop()
            _log.error("chat reader did not start", status=status, error=str(error))
            raise StartFailed from error
        return running

    async def _spawn(self) -> _Running:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _started(self._command, theirs)
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours)
        self._running = _Running(process, reader, writer)
        return self._running


def _started(command: Sequence[str], theirs: socket.socket) -> "subprocess.Popen[bytes]":
    """Not started by the loop: uvloop forks, which holds it for 30 ms where a worker has 1 GiB.

    This takes 0.3 ms whatever it has, and 8 ms with 15,000 connections.
    """
    return subprocess.Popen(
        command,
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
        # numpy's threads would have nothing to do.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
