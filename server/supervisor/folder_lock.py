"""One instance holds a state folder: a lock that the kernel lets go when its holders have ended."""

import fcntl
import os
import time
from pathlib import Path

from server.supervisor.child import StartError
from server.supervisor.holders import holder_of_file, is_running

LOCK = "lock"
# What a killed instance leaves is its control plane, which writes what it knows, and then ends.
LEFT_S_MAX = 15.0
_LOOK_S = 0.05


def lock_folder(folder: Path, *, left_s_max: float = LEFT_S_MAX) -> int:
    """A descriptor that holds the folder while somebody has it open; blocks.

    Raises StartError where another instance holds it, and OSError where there can be no lock.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _take(lock, folder, left_s_max)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _take(lock: int, folder: Path, left_s_max: float) -> None:
    """Waits for what a killed instance left, which ends by itself."""
    until_s = time.monotonic() + left_s_max
    while not _is_taken(lock):
        holder = _holder(lock)
        if holder is None or is_running(holder):
            raise StartError(_held(folder, "another Turnout", holder))
        if time.monotonic() > until_s:
            left = holder_of_file(folder / LOCK) or "a process"
            raise StartError(_held(folder, f"{left} of a Turnout that was killed"))
        time.sleep(_LOOK_S)


def _is_taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock: int) -> int | None:
    """Who took it last; None where the file does not say."""
    said = os.pread(lock, 20, 0)
    return int(said) if said.isdigit() else None


def _held(folder: Path, who: str, process: int | None = None) -> str:
    named = who if process is None else f"{who} (process {process})"
    return (
        f"{named} runs from the state folder {folder}: stop it, "
        "or give this one a state_dir of its own"
    )
