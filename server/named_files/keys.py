"""The keys that models' endpoints are asked with: from files and from environment variables.

Nothing here, nor any error of it, shows what a key is.
"""

import os
from collections.abc import Callable, Mapping

from server.config.diagnostics import Findings, Path
from server.config.models import KeySource, ModelConfig
from server.config.schema import Config
from server.transport.sockets.tls import stamp

# The longest known, signed tokens of identity services, have some 4 KiB.
KEY_BYTES_MAX = 8 * 2**10
# A file is looked at no more often than this.
LOOK_EVERY_S = 1.0
# The key before a new one is tried for so long, where the new one is refused.
OVERLAP_S = 3_600.0


class KeyUnusable(Exception):
    """There is no such key, or it cannot be sent; says why, and never what it is."""


class StoredKey:
    """A key that is read again when its file changes. That of a variable stays as it was."""

    def __init__(
        self, source: KeySource, environ: Mapping[str, str], *, now_s: Callable[[], float]
    ) -> None:
        self._source = source
        self._environ = environ
        self._now_s = now_s
        self._look_at_s = now_s()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[str, ...] = ()
        self._changed_s = now_s()

    def candidates(self) -> tuple[str, ...]:
        """The key, and while a rotation may not be over the one before it; raises KeyUnusable."""
        now_s = self._now_s()
        if not self._keys or now_s >= self._look_at_s:
            self._look(now_s)
        return self._keys if now_s < self._changed_s + OVERLAP_S else self._keys[:1]

    def _look(self, now_s: float) -> None:
        self._look_at_s = now_s + LOOK_EVERY_S
        seen = None if self._source.file is None else stamp(_expanded(self._source.file))
        if self._keys and seen == self._stamp:
            return
        try:
            key = read_key(self._source, self._environ)
        except KeyUnusable:
            if self._keys:  # it may be half written: what was read before stays
                return
            raise
        self._stamp = seen
        if key not in self._keys[:1]:
            self._keys = (key, *self._keys[:1])
            self._changed_s = now_s


def read_key(source: KeySource, environ: Mapping[str, str]) -> str:
    """Raises KeyUnusable."""
    if source.file is not None:
        return _sound(_file_bytes(source.file), "the file")
    found = environ.get(source.env or "")
    if found is None:
        raise KeyUnusable("no environment variable of this name is set where the service runs")
    return _sound(found.encode(errors="replace"), "the variable")


def key_findings(config: Config, environ: Mapping[str, str]) -> Findings:
    """Why keys cannot be used."""
    for i, model in enumerate(config.models):
        for path, source in _sources(model):
            try:
                read_key(source, environ)
            except KeyUnusable as error:
                yield ("models", i, *path), str(error)


def _sources(model: ModelConfig) -> list[tuple[Path, KeySource]]:
    key = model.api_key
    found: list[tuple[Path, KeySource]] = []
    if key is not None:
        found.append((("api_key_env" if key.file is None else "api_key_file",), key))
    for i, header in enumerate(model.headers):
        source = header.source
        if source is not None:
            found.append((("headers", i, "env" if source.file is None else "file"), source))
    return found


def _file_bytes(path: str) -> bytes:
    try:
        with open(_expanded(path), "rb", opener=_open_at_once) as file:
            return file.read(KEY_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # a path with NUL
        why = getattr(error, "strerror", None) or "it is no path"
        raise KeyUnusable(f"the file cannot be read: {why}") from None


def _expanded(path: str) -> str:
    """As it is where nobody has such a home: no such file, then."""
    return os.path.expanduser(path)


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting: of a FIFO nobody may be at the other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _sound(data: bytes, where: str) -> str:
    key = data.strip()
    if not key:
        raise KeyUnusable(f"{where} is empty")
    if len(key) > KEY_BYTES_MAX:
        raise KeyUnusable(f"{where} has more than {KEY_BYTES_MAX:,} bytes: no key is so long")
    text = key.decode("ascii", "replace")
    if not text.isascii() or not text.isprintable():
        raise KeyUnusable(f"{where} holds no key: one line of visible ASCII is needed")
    return text
