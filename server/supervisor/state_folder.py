"""The state folder: one instance holds it, with what its children read from it."""

import contextlib
import errno
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from server.app.settings import LIVE_BYTES_MAX
from server.config.as_json import from_json, to_json
from server.config.diagnostics import ConfigError
from server.config.schema import Config
from server.control.kept_config import keep_start
from server.control.kept_file import (
    FileRefused,
    read_own,
    remove_unfinished,
    set_aside,
    write_whole,
)
from server.control.key_file import make_key
from server.supervisor.child import StartError
from server.supervisor.folder_lock import LOCK, lock_folder

_MODE = 0o700
_REMEDIES: Mapping[int | None, str] = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room in its user's quota",
    errno.EROFS: "mount its file system for writing",
    errno.EISDIR: "remove {path}",
    errno.ENOTDIR: "remove the file that stands in its path",
    errno.ELOOP: "remove {path}",
    errno.EACCES: "give the user that serves the right to",
    errno.EPERM: "give the user that serves the right to",
    errno.ENOENT: "make the folder that is missing",
}
_log = structlog.get_logger()


class StateFolder:
    """Held from `take` to `release`; `begin` comes between; every method blocks."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._config = config  # of the start: live updates are in live.json
        self._lock: int | None = None  # a descriptor
        self._key = b""
        self._restoring = threading.Lock()  # or of two threads one would find the other's lock

    def take(self) -> None:
        """Holds the folder for this instance alone; raises StartError where it cannot."""
        self.restore()
        remove_unfinished(self._folder)

    def begin(self) -> None:
        """Puts the configuration of the start in force, once nothing else stands against a start.

        Raises StartError. One that is refused must not be told among the updates.
        """
        self._keep_start()
        self._write(self._live, to_json(self._config))

    def release(self) -> None:
        """Another instance may take it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def held(self) -> tuple[int, ...]:
        """What holds it: while a process has it open, no other instance can take the folder."""
        return () if self._lock is None else (self._lock,)

    def missing(self) -> list[str]:
        """What was removed of that which children cannot make again."""
        if not self._is_locked():
            return [str(self._folder)]
        return [] if self._key_path.exists() else [str(self._key_path)]

    def restore(self) -> None:
        """Makes again what is missing, with the same key; raises StartError."""
        with self._restoring:
            make_folder(self._folder)
            if not self._is_locked():
                lock = self._locked()
                self.release()
                self._lock = lock
            self._restore_key()

    def prepare(self) -> None:
        """Before the control plane starts again: it can read all that it needs.

        Raises StartError.
        """
        self.restore()
        try:
            from_json(read_own(self._live, bytes_max=LIVE_BYTES_MAX))
            return
        except FileNotFoundError:
            why, aside = "it is missing", None
        except (FileRefused, ConfigError) as error:
            why, aside = str(error), self._set_live_aside()
        _log.error(
            "live updates are lost: the configuration of the start is in force",
            file=str(self._live),
            error=why,
            set_aside=aside,
        )
        self._write(self._live, to_json(self._config))

    @property
    def _live(self) -> Path:
        return self._folder / "live.json"

    @property
    def _key_path(self) -> Path:
        return self._folder / "decision.key"

    def _is_locked(self) -> bool:
        """False once the file was removed too: a second instance would not see our lock."""
        if self._lock is None:
            return False
        with contextlib.suppress(OSError):
            there = (self._folder / LOCK).stat()
            return os.path.samestat(there, os.fstat(self._lock))
        return False

    def _locked(self) -> int:
        try:
            return lock_folder(self._folder)
        except OSError as error:
            raise refusal(self._folder / LOCK, error, "locked") from None

    def _restore_key(self) -> None:
        try:
            if self._key and not self._key_path.exists():
                write_whole(self._key_path, self._key)
            key = make_key(self._key_path)
            if self._key and key != self._key:
                # Half of our processes have the old one: ids of the others would be refused.
                _log.error(
                    "the key of decision ids was replaced while the service runs: the one of its "
                    "start is put back; stop the service to change it",
                    file=str(self._key_path),
                )
                write_whole(self._key_path, self._key)
            else:
                self._key = key
        except FileRefused as error:
            raise StartError(str(error)) from None
        except OSError as error:
            raise refusal(self._key_path, error) from None

    def _keep_start(self) -> None:
        """What held when the service ended is undone by its file, which operators are to see."""
        updates = self._folder / "updates.jsonl"
        with contextlib.suppress(FileNotFoundError, FileRefused, ConfigError):  # nothing to compare
            before = from_json(read_own(self._live, bytes_max=LIVE_BYTES_MAX))
            try:
                keep_start(updates, before, self._config, now_s=time.time())
            except OSError as error:
                raise refusal(updates, error) from None

    def _set_live_aside(self) -> str | None:
        try:
            return str(set_aside(self._live))
        except OSError as error:
            raise refusal(self._live, error, "set aside") from None

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_whole(path, content)
        except OSError as error:
            raise refusal(path, error) from None


@contextlib.contextmanager
def own(folder: Path, config: Config) -> Iterator[StateFolder]:
    """Holds the folder for this instance alone; raises StartError where it cannot."""
    state = StateFolder(folder, config)
    try:
        state.take()
        yield state
    finally:
        state.release()


def make_folder(folder: Path) -> None:
    """Makes it, and what is missing above it, for us alone; raises StartError if it is not ours."""
    try:
        for one in (*reversed(folder.parents), folder):
            if not one.exists():
                with contextlib.suppress(FileExistsError):
                    one.mkdir(mode=_MODE)
        status = folder.stat()  # of what a link leads to
    except OSError as error:
        raise refusal(Path(error.filename or folder), error, "made") from None
    fault = folder_fault(status, os.geteuid())
    if fault is not None:
        raise StartError(f"the state folder {folder} {fault.format(folder=folder)}")


def folder_fault(status: os.stat_result, user: int) -> str | None:
    """Why a folder that is there is not for this user alone, and what to do; {folder} is its."""
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder: name another state_dir"
    if status.st_uid != user:
        return (
            f"belongs to user {status.st_uid}, and {user} serves: "
            f"chown {user} {{folder}}, or name another state_dir"
        )
    mode = stat.S_IMODE(status.st_mode) & 0o777
    if mode != _MODE:
        return f"has mode {mode:04o}, and is to be its owner's alone: chmod 700 {{folder}}"
    return None


def refusal(path: Path, error: OSError, done: str = "written") -> StartError:
    """Why something of the folder cannot be used, and what to do."""
    do = _REMEDIES.get(error.errno, f"see why {path.parent} does not allow it")
    why = f"{path} cannot be {done}: {error.strerror}"
    return StartError(f"{why}: {do.format(path=path)}, or name another state_dir")
