"""The configuration in force as the disk has it, and who made it so."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from server.config.as_json import to_json
from server.config.changes import changes
from server.config.schema import Config
from server.control.kept_file import write_whole
from server.control.update_log import Author, Update, UpdateLog, read_log

# In one line of the log, which has 10 KB with long values; journald cuts lines at 48.
CHANGES_LOGGED_MAX = 20

START = Author("a start of the service")

_log = structlog.get_logger()


class KeptConfig:
    """Writes files beside the loop. Calls do not wait for each other: make one at a time."""

    def __init__(self, live: Path, updates: Path) -> None:
        self._live = live
        self._path = updates
        self._updates = read_log(updates)
        self._on_disk = self._updates

    def updates(self) -> list[Update]:
        """Who changed what, the newest first."""
        return self._updates.newest_first()

    async def replace(self, before: Config, after: Config, by: Author, *, now_s: float) -> None:
        """Returns once both are on the disk; raises OSError, and then neither is.

        The update comes first: a kill between the two leaves one that nobody was told of, and no
        configuration without its author.
        """
        update = Update.of(changes(before, after), by, now_s=now_s)
        await self.keep(update, lambda: write_whole(self._live, to_json(after)))

    async def keep(self, update: Update, write: Callable[[], None]) -> None:
        """Keeps what `write` puts on the disk, with who asked for it; raises as replace does."""
        kept = self._updates
        try:
            await self._write_updates(kept.with_update(update))
            await asyncio.to_thread(write)
        except OSError:
            self._updates = kept
            await self._write_updates_again()
            raise
        _tell(update)

    async def write_again(self, config: Config) -> None:
        """Writes what others have removed since; a full disk is only told."""
        if self._on_disk is not self._updates or not self._path.exists():
            await self._write_updates_again()
        if self._live.exists():
            return
        try:
            await asyncio.to_thread(write_whole, self._live, to_json(config))
        except OSError as error:  # a full disk is no reason to stop planning
            _log.warning("the configuration cannot be kept", error=str(error))

    async def _write_updates(self, updates: UpdateLog) -> None:
        self._updates = updates
        await asyncio.to_thread(write_whole, self._path, updates.to_bytes())
        self._on_disk = updates

    async def _write_updates_again(self) -> None:
        try:
            await self._write_updates(self._updates)
        except OSError as error:
            _log.warning("who changed what cannot be kept", error=str(error))


def keep_start(updates: Path, before: Config, after: Config, *, now_s: float) -> None:
    """A start of the service begins with its file: what that changes is kept. Raises OSError."""
    if changed := changes(before, after):
        update = Update.of(changed, START, now_s=now_s)
        write_whole(updates, read_log(updates).with_update(update).to_bytes())


def _tell(update: Update) -> None:
    _log.info(
        "configuration updated",
        who=update.author.who,
        operator=update.author.operator,
        changes=[change.text for change in update.changes[:CHANGES_LOGGED_MAX]],
        left_out=update.left_out + max(len(update.changes) - CHANGES_LOGGED_MAX, 0),
    )
