"""Runs inputs in a process of their own, so that one which hangs or kills it is told of too."""

import faulthandler
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from benchmarks.fuzz.planned import folder

# Thirty times what the dearest takes on a busy machine.
INPUT_S_MAX = 60.0
_STDERR = 2
# Exit statuses: faulthandler's own, and of a fuzzer that failed itself.
_HUNG, _BROKEN = 1, 3
# Forked from a process that imports and does nothing else: ours may have threads.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["benchmarks.fuzz.catalogue"])

_T = TypeVar("_T")
# Is told of each input before it runs.
Begin = Callable[[bytes], None]


class Died(Exception):
    """An input ended the process that it ran in."""

    def __init__(self, why: str, data: bytes) -> None:
        super().__init__(why)
        self.why = why
        self.data = data


def apart(work: Callable[[Begin], _T], input_s_max: float = INPUT_S_MAX) -> _T:
    """What `work`, which is pickled, returns; raises Died."""
    with folder() as made:
        running = made / "running"
        running.touch()
        pipe, its_end = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_work, args=(work, its_end, running, input_s_max))
        process.start()
        its_end.close()  # or its death would not be heard
        try:
            returned: _T = pipe.recv()
        except EOFError:
            process.join()
            raise Died(_why(process.exitcode, input_s_max), running.read_bytes()) from None
        process.join()
        return returned


def _work(
    work: Callable[[Begin], object], pipe: Connection, running: Path, input_s_max: float
) -> None:
    """A thread of faulthandler's watches, which needs no lock that an input may hold."""
    faulthandler.enable(_STDERR)

    def begin(data: bytes) -> None:
        running.write_bytes(data)
        faulthandler.dump_traceback_later(input_s_max, exit=True, file=_STDERR)

    try:
        returned = work(begin)
        faulthandler.cancel_dump_traceback_later()
    except BaseException:  # noqa: BLE001 - whatever it is, it is the fuzzer's own
        traceback.print_exc()
        os._exit(_BROKEN)
    pipe.send(returned)


def _why(exit_code: int | None, input_s_max: float) -> str:
    if exit_code == _HUNG:
        return f"hang: it took more than {input_s_max:g} s"
    if exit_code is not None and exit_code < 0:
        return f"crash: {signal.Signals(-exit_code).name}"
    return f"the fuzzer failed: exit status {exit_code}"
