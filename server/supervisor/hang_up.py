"""What SIGHUP means: read the configuration again, or that the terminal has gone."""

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

_log = structlog.get_logger()


class HangUp:
    """A service that was started from a terminal ends with it, as it would without a handler.

    Under nohup, which has SIGHUP ignored, it stays.
    """

    def __init__(self, reload: Callable[[], None], stopping: asyncio.Event) -> None:
        """`stopping` is set where the terminal has gone; once it is set, nothing is reloaded."""
        self._reload = reload
        self._stopping = stopping
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._ends_with_terminal = not is_ignored and has_terminal()

    def heard(self) -> None:
        """SIGHUP has come."""
        if self._stopping.is_set():
            _log.info("draining: the configuration is not read again")
        elif self._ends_with_terminal and not has_terminal():
            self._stopping.set()
        else:
            _log.info("reloading the configuration")
            self._reload()


def has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
