"""What is removed from the state folder while the service runs comes back."""

import asyncio
import contextlib
import os

import structlog

from server.supervisor.child import Child, StartError
from server.supervisor.state_folder import StateFolder

# As often as certificates are looked at.
LOOK_S = 5.0

_log = structlog.get_logger()


class FolderWatch:
    """Looks at what the kernel tells nobody of: files that others removed."""

    def __init__(self, state: StateFolder, control: Child) -> None:
        self._state = state
        self._control = control
        self._said = ""  # why it cannot be made again
        self._said_data = False
        self._said_closed: list[str] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks again and again, until the service stops."""
        while not stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)

    async def look(self) -> None:
        """Makes again what is missing.

        Sockets that were removed only a new control plane can make: it keeps live updates and what
        was learned. Connections that are open do not need them, so workers go on meanwhile.
        """
        self._look_at_data()
        missing = await asyncio.to_thread(self._state.missing)
        if missing and not await self._restored(missing):
            return
        settings = self._control.settings
        sockets = _removed(settings.control_address, settings.admin_address)
        if sockets and self._control.is_ready and await self._can_start_again(sockets):
            _log.error("sockets were removed: the control plane starts again", removed=sockets)
            await self._control.stop()

    async def _can_start_again(self, sockets: list[str]) -> bool:
        """A control plane that runs without its socket is better than none."""
        closed = [path for path in sockets if not _can_be_made(path)]
        if closed and closed != self._said_closed:
            _log.error(
                "sockets were removed, and their folders let no new ones be made: "
                "make the folders again",
                removed=closed,
            )
        self._said_closed = closed
        return not closed and await self._restored([])

    def _look_at_data(self) -> None:
        """The supervisor accepts there itself: connections that are open would go with it."""
        removed = _removed(self._control.settings.data_address)
        if removed and not self._said_data:
            _log.error(
                "the data socket was removed: start the service again, or nobody can connect",
                removed=removed,
            )
        self._said_data = bool(removed)

    async def _restored(self, missing: list[str]) -> bool:
        try:
            await asyncio.to_thread(self._state.restore)
        except StartError as error:
            if str(error) != self._said:  # once, not every time
                self._said = str(error)
                _log.error(
                    "what was removed cannot be made again", removed=missing, error=str(error)
                )
            return False
        self._said = ""
        if missing:
            _log.error("files of the service were removed, and are made again", removed=missing)
        return True


def _removed(*addresses: str) -> list[str]:
    """Those of Unix sockets that nobody can connect to any more, for their files are gone."""
    paths = [a.removeprefix("unix:") for a in addresses if a.startswith("unix:")]
    return [path for path in paths if not os.path.exists(path)]


def _can_be_made(path: str) -> bool:
    """Whether a socket can be made there."""
    return os.access(os.path.dirname(path), os.W_OK | os.X_OK)
