"""Files that outlive the process: written whole or not at all, read back only where they are ours.

They are for their owner alone, unless a function says otherwise.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import structlog

# Of a file that is being written; a crash leaves it behind.
UNFINISHED = ".new"

_Known = TypeVar("_Known")

_log = structlog.get_logger()


class FileRefused(Exception):
    """A file of ours is not as we write it; the message names it and says what to do."""


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Returns once the content is on the disk; readers see the old file or the new, never half."""
    # Another name each time, or two that write at once would finish each other's.
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with open(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_own(path: Path, *, bytes_max: int) -> bytes:
    """The content of a file that is for us alone.

    Raises FileRefused, or FileNotFoundError where there is none.
    """
    with open_own(path) as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise FileRefused(f"{path} has more than the {bytes_max:,} bytes that we write: remove it")
    return content


def read_or_set_aside(
    path: Path, take_up: Callable[[bytes], _Known], *, bytes_max: int, lost: str
) -> _Known | None:
    """What `take_up` makes of the content of a file that is for us alone; None without a file.

    A file that is not ours, or of which `take_up` raises ValueError, is set aside, and the log says
    what is `lost` with it.
    """
    try:
        return take_up(read_own(path, bytes_max=bytes_max))
    except FileNotFoundError:
        return None
    except (FileRefused, ValueError) as error:
        aside = None
        with contextlib.suppress(OSError):  # it stays in its place, which is worse but no obstacle
            aside = str(set_aside(path))
        _log.warning(
            f"{lost}: the file is set aside",
            file=str(path),
            error=str(error),
            set_aside=aside,
        )
        return None


def open_own(path: Path) -> BinaryIO:
    """Opens a file that is for us alone; raises as read_own does."""
    try:
        # Without waiting: of a FIFO nobody may be at the other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}") from None
    fault = file_fault(os.fstat(descriptor), os.geteuid())
    if fault is not None:
        os.close(descriptor)
        raise FileRefused(f"{path} {fault.format(path=path)}")
    return os.fdopen(descriptor, "rb")


def file_fault(status: os.stat_result, user: int) -> str | None:
    """Why it is no file that only this user can read and write, and what to do about {path}."""
    if not stat.S_ISREG(status.st_mode):
        return "is no file: remove it"
    if status.st_uid != user:
        return f"belongs to user {status.st_uid}, and {user} serves: chown {user} {{path}}"
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        return f"is open to other users (mode {mode:04o}): chmod 600 {{path}}"
    return None


def set_aside(path: Path) -> Path:
    """Gives a damaged file another name, under which an earlier one is replaced; says which."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    return aside


def remove_unfinished(folder: Path) -> None:
    """Removes what crashes left behind; call it where nobody else writes."""
    for unfinished in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # or the new name may be lost with the power
    finally:
        os.close(descriptor)
