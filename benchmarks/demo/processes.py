"""Server processes: started, ended and killed, with what they said kept for when one fails."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

_START_S = 60.0  # a minute on a machine that has other things to do; five seconds otherwise
_STOP_S = 10.0

# One prediction is one core's work: else each library starts a thread for every core.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class StartError(Exception):
    """A process did not start; the message holds the end of what it said."""


class ServerProcess:
    """One process of ours."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def line(self) -> str:
        """The first line on its standard output; raises StartError if it ends without one."""
        if self._process.stdout is None:
            raise StartError(f"{self.name} was not asked to speak")
        async with asyncio.timeout(_START_S):
            line = await self._process.stdout.readline()
        if not line:
            raise self.start_error()
        return line.decode().strip()

    def start_error(self) -> StartError:
        said = self._log.read_text(errors="replace")[-2000:].strip()
        return StartError(f"{self.name} did not start: {said or 'it said nothing'}")

    async def wait(self) -> None:
        """Until it ends."""
        await self._process.wait()

    def kill(self) -> None:
        """As a crash would: nothing is drained, nothing is said."""
        self._process.kill()

    async def stop(self) -> None:
        """Drains it, and kills it if that takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


@asynccontextmanager
async def started(
    name: str, arguments: Sequence[str], folder: Path, *, speaks: bool = False
) -> AsyncIterator[ServerProcess]:
    """Runs Python with these arguments, and ends it in the end.

    What it says goes to a log in the folder; one that speaks has a line for us on standard output.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,  # its end tells a model server of ours
            stdout=asyncio.subprocess.PIPE if speaks else said,
            stderr=said,
            env={**os.environ, **_ONE_THREAD},
            process_group=0,  # Ctrl-C is for the demo, which ends all in order
        )
    server = ServerProcess(name, process, log)
    try:
        yield server
    finally:
        await server.stop()
