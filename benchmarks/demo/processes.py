"""Server processes: started and ended, with what they said kept for when one fails."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

START_S = 60.0  # a minute on a machine that has other things to do; five seconds otherwise
STOP_S = 10.0

# One prediction is one core's work: else each library starts a thread for every core.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class StartError(Exception):
    """A process did not start; the message holds the end of what it said."""


def start_error(name: str, log: Path) -> StartError:
    """With what the process left in its log."""
    said = log.read_text(errors="replace")[-2000:].strip() if log.exists() else ""
    return StartError(f"{name} did not start: {said or 'it said nothing'}")


class ServerProcess:
    """One process of ours."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    def start_error(self) -> StartError:
        return start_error(self._name, self._log)

    async def wait(self) -> None:
        """Until it ends."""
        await self._process.wait()

    async def stop(self) -> None:
        """Drains it, and kills it if that takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def started(
    name: str, arguments: Sequence[str], folder: Path
) -> AsyncIterator[ServerProcess]:
    """Runs a Python module with these arguments, and ends it in the end, or when we are killed.

    A log in the folder has what it says.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.demo.tethered", str(folder), *arguments),
            stdin=asyncio.subprocess.PIPE,  # its end tells the process of ours
            stdout=said,
            stderr=said,
            env={**os.environ, **ONE_THREAD},
            process_group=0,  # Ctrl-C is for the demo, which ends all in order
        )
    server = ServerProcess(name, process, log)
    try:
        yield server
    finally:
        await server.stop()
