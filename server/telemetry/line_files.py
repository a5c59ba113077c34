"""Where lines go: files of bounded size in a folder, or the standard error of the process."""

import os
from collections.abc import Sequence
from pathlib import Path

# Of one worker: some 100,000 lines a file, and as many files. Who keeps more moves them away.
FILE_BYTES_MAX = 64 * 2**20
FILES_MAX = 8
STDERR = "stderr"
# What a pipe takes whole: lines of several processes never mix.
_PIPE_BYTES = 4_096


class LogFiles:
    """One process's lines: NAME.jsonl, and those before it NAME.jsonl.1 and so on.

    It is opened anew for each batch, so whoever moves it away need tell nobody.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        bytes_max: int = FILE_BYTES_MAX,
        files_max: int = FILES_MAX,
    ) -> None:
        self._path = folder / f"{name}.jsonl"
        self._bytes_max = bytes_max
        self._files_max = files_max

    def write(self, lines: Sequence[bytes]) -> None:
        """Appends whole lines, for the service's user alone; raises OSError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            _write_all(descriptor, b"".join(lines))
            is_full = os.fstat(descriptor).st_size >= self._bytes_max
        finally:
            os.close(descriptor)
        if is_full:
            self._rotate()

    def _rotate(self) -> None:
        """The oldest goes."""
        for number in range(self._files_max - 1, 0, -1):
            source = self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def write_to_stderr(lines: Sequence[bytes]) -> None:
    """Among the log, of which other processes write theirs; raises OSError."""
    waiting = b""
    for line in lines:
        if waiting and len(waiting) + len(line) > _PIPE_BYTES:
            _write_all(2, waiting)
            waiting = b""
        waiting += line
    _write_all(2, waiting)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
