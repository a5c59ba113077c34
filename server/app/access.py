"""A worker's access log, where the configuration wants one."""

from collections.abc import Callable
from pathlib import Path

from server.app.settings import Settings
from server.dispatch.dispatcher import Dispatcher
from server.routing.counters import Counters
from server.rpc.reports import reporting
from server.rpc.routing import RoutingServicer
from server.telemetry.access_log import AccessLog
from server.telemetry.line_files import STDERR, LogFiles, write_to_stderr


class Access:
    """Takes down what a worker answers, or nothing."""

    def __init__(self, settings: Settings, counters: Counters, now_s: Callable[[], float]) -> None:
        self._log = _log(settings, now_s)
        self._counters = counters
        self._now_s = now_s

    def listen_to(self, dispatcher: Dispatcher) -> None:
        """Takes down what is forwarded."""
        if self._log is not None:
            dispatcher.on_ended = self._log.take_trip

    def listen_to_servicer(self, servicer: RoutingServicer) -> None:
        """Takes down decisions by Route, and reports."""
        if self._log is not None:
            servicer.on_decided = self._log.take_decision
            servicer.on_reported = reporting(self._log, self._now_s)

    def count_refusal(self, reason: str) -> None:
        """Counts a request that is answered with an error, and takes it down."""
        self._counters.count_refusal(reason)
        if self._log is not None:
            self._log.take_refusal(reason)

    async def run(self) -> None:
        """Writes what was taken down, until it is cancelled."""
        if self._log is not None:
            await self._log.run()

    async def close(self) -> None:
        """Writes the last of it."""
        if self._log is not None:
            await self._log.flush()


def _log(settings: Settings, now_s: Callable[[], float]) -> AccessLog | None:
    at = settings.access_log
    if at is None:
        return None
    write = write_to_stderr if at == STDERR else LogFiles(Path(at), settings.name).write
    return AccessLog(write, now_s=now_s)
