"""What is removed from the state folder while the service runs comes back."""

import asyncio
import contextlib
from pathlib import Path

import structlog

from server.app.settings import Settings
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

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks again and again, until the service stops."""
        while not stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)

    async def look(self) -> None:
        """Makes again what is missing.

        Sockets that were removed only a new control plane can make: it keeps live updates and what
        budgets spent. Connections that are open do not need them, so workers go on meanwhile.
        """
        missing = await asyncio.to_thread(self._state.missing)
        if missing and not await self._restored(missing):
            return
        sockets = [str(path) for path in _sockets(self._control.settings) if not path.exists()]
        if sockets and self._control.is_ready:
            _log.error("sockets were removed: the control plane starts again", removed=sockets)
            await self._control.stop()

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
        _log.error("files of the service were removed, and are made again", removed=missing)
        return True


def _sockets(settings: Settings) -> list[Path]:
    addresses = (settings.control_address, settings.admin_address)
    return [Path(a.removeprefix("unix:")) for a in addresses if a.startswith("unix:")]
