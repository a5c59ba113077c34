"""Processes of ours that begin with scikit-learn imported, which costs a second of CPU.

All are forked from one process (multiprocessing's fork server) that imports and does nothing else.
"""

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias

from benchmarks.demo.processes import ONE_THREAD, START_S, STOP_S, start_error

# A folder stays where its module writes a file meanwhile; each module writes a few.
_REMOVALS = 20

# To who started a process: its end ends the process. What is said on it is agreed by both.
Line: TypeAlias = "Connection[Any, Any]"

_P = ParamSpec("_P")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["benchmarks.demo.training", "benchmarks.demo.model_server"])


class Fork:
    """One process."""

    def __init__(self, name: str, process: ForkServerProcess, line: Line, log: Path) -> None:
        self._name, self._process, self._line, self._log = name, process, line, log

    async def said(self) -> Any:
        """The next thing it says, as agreed; raises StartError if that does not come."""
        try:
            if await asyncio.to_thread(self._line.poll, START_S):
                return self._line.recv()
        except (EOFError, OSError):
            pass
        raise start_error(self._name, self._log)

    def kill(self) -> None:
        """As a crash would: nothing is drained, nothing is said."""
        self._process.kill()

    async def stop(self) -> None:
        """Drains it, and kills it if that takes too long."""
        self._process.terminate()
        await asyncio.to_thread(self._process.join, STOP_S)
        self._process.kill()
        await asyncio.to_thread(self._process.join)


@asynccontextmanager
async def forked(
    name: str,
    target: Callable[Concatenate[Line, _P], None],
    log: Path,
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> AsyncIterator[Fork]:
    """Calls the target in a process of its own, and ends that in the end."""
    os.environ.update(ONE_THREAD)  # the fork server's environment is that of its start
    ours, its = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_begin, args=(target, its, log, args, kwargs), daemon=True)
    await asyncio.to_thread(process.start)  # the first waits until all is imported
    its.close()
    fork = Fork(name, process, ours, log)
    try:
        yield fork
    finally:
        await fork.stop()
        ours.close()


def _begin(
    target: Callable[..., None],
    line: Line,
    log: Path,
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which ends all in order
    threading.Thread(target=_follow, args=(line, log.parent), daemon=True).start()
    with log.open("ab") as said:
        for descriptor in (1, 2):
            os.dup2(said.fileno(), descriptor)
    target(line, *args, **kwargs)


def _follow(line: Line, folder: Path) -> None:
    """Ends us when the demo was killed, which is then not there to remove its folder."""
    with contextlib.suppress(EOFError, OSError):
        line.recv()
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
    os.kill(os.getpid(), signal.SIGTERM)
