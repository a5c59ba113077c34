"""Logs limits that were reached, and by whom, however often an attacker reaches them."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

# Of one limit, in one period: enough to see who it is, too few to fill a disk.
LINES_MAX = 5
PERIOD_S = 60.0
# Every connection retires in the end: that says nothing about the peer.
_ORDINARY = frozenset({"age", "idle", "door_idle"})

_log = structlog.get_logger()


class Lines:
    """Counts lines by name; says which are one too many. Never reads a clock."""

    def __init__(self) -> None:
        self._wanted: Counter[str] = Counter()

    @property
    def is_new(self) -> bool:
        """Whether nothing was wanted in this period yet."""
        return not self._wanted

    def want(self, name: str) -> bool:
        """Whether there is a line left."""
        self._wanted[name] += 1
        return self._wanted[name] <= LINES_MAX

    def begin_anew(self) -> dict[str, int]:
        """Ends the period: how many lines were left out, by name."""
        wanted, self._wanted = self._wanted, Counter()
        return {name: n - LINES_MAX for name, n in wanted.items() if n > LINES_MAX}


class _Log(Protocol):
    def info(self, event: str, **fields: object) -> object: ...


class LimitLog:
    """At level info, for what peers do is no fault of the service; no line repeats their words."""

    def __init__(
        self, later: Callable[[float, Callable[[], None]], object], log: _Log = _log
    ) -> None:
        """`later` calls something after so many seconds."""
        self._later = later
        self._log = log
        self._lines = Lines()

    def log_limit(self, limit: str, **who: str) -> None:
        """The limit of this name was reached by the one with this address."""
        if limit not in _ORDINARY and self._has_line(limit):
            self._log.info("limit reached", limit=limit, **who)

    def log_handshake(self, peer: str, why: str) -> None:
        """A peer came to nothing that would have spoken TLS."""
        if self._has_line("TLS handshake"):
            self._log.info("TLS handshake failed", peer=peer, why=why)

    def _has_line(self, name: str) -> bool:
        if self._lines.is_new:
            self._later(PERIOD_S, self._end_period)
        return self._lines.want(name)

    def _end_period(self) -> None:
        for name, lines in self._lines.begin_anew().items():
            self._log.info("more of the same was not logged", limit=name, left_out=lines)
