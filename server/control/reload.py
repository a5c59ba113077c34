"""Puts another configuration file in force while the service runs: whole, or not at all.

What the file says is all that holds afterwards: updates that operators made meanwhile are undone,
as a restart would undo them, and are told like every other change.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from server.config.changes import Change, changes, fixed_findings
from server.config.diagnostics import ConfigError, Diagnostic, Findings
from server.config.file import Check, file_bytes, read
from server.config.schema import Config
from server.control.plane import ControlPlane
from server.control.update_log import Author
from server.named_files.check import served_findings

# Compiling a large configuration takes a worker some seconds on a busy machine.
FOLLOWED_S_MAX = 10.0
_LOOK_S = 0.05
# Lines of the log for one reload.
LOGGED_MAX = 100

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of a reload."""

    in_force: bool
    diagnostics: tuple[Diagnostic, ...] = ()  # why it is not
    changes: tuple[Change, ...] = ()


# Whoever sends a signal to a process is its user, or root.
BY_SIGNAL = Author("SIGHUP")


class Reloads:
    """Reloads one file after another, and reads and checks each beside the loop."""

    def __init__(self, plane: ControlPlane, file: Path | None = None) -> None:
        """`file` is the one that the service was started with."""
        self._plane = plane
        self._file = file
        self._reading = asyncio.Lock()  # files of 4 MiB take seconds, and many at once would too

    async def follow(self, wanted: asyncio.Event, on_done: Callable[[], None]) -> NoReturn:
        """Reads the file of the start again whenever `wanted` is set; if set twice meanwhile, once.

        `on_done` is called when nothing is left to do: who is asked meanwhile begins again.
        """
        while True:
            await wanted.wait()
            wanted.clear()
            try:
                await self.reload_file()
            except Exception as error:  # noqa: BLE001 - whatever it is, what is in force goes on
                _log.error("reload failed, the configuration in force stays", exc_info=error)
            if not wanted.is_set():
                on_done()

    async def reload_file(self) -> Reloaded:
        """Puts the file of the start in force as it is now; the log says what came of it."""
        if self._file is None:
            return Reloaded(
                False, (Diagnostic("", None, "the service was started without a file"),)
            )
        _log.info("reading the configuration again", file=str(self._file))
        try:
            data = await asyncio.to_thread(file_bytes, self._file)
        except ConfigError as error:
            return _refused(BY_SIGNAL, error)
        return await self.reload(data, by=BY_SIGNAL)

    async def reload(self, data: bytes, *, by: Author, dry_run: bool = False) -> Reloaded:
        """Puts what a file has in force; the log says what came of it."""
        # Who gives up meanwhile must not leave it in force and untold.
        return await asyncio.shield(self._reload(data, by, dry_run=dry_run))

    async def behind(self) -> Sequence[str]:
        """Waits until every worker has followed; returns those that have not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_S_MAX):
                while self._plane.behind():  # noqa: ASYNC110 - workers push, whatever they push
                    await asyncio.sleep(_LOOK_S)
        return self._plane.behind()

    async def _reload(self, data: bytes, by: Author, *, dry_run: bool) -> Reloaded:
        try:
            async with self._reading:
                check = _changeable_from(self._plane.config)
                config = await asyncio.to_thread(read, data, further_check=check)
            if dry_run:
                return Reloaded(False, changes=tuple(changes(self._plane.config, config)))
            changed = await self._put_in_force(config, by)
        except ConfigError as error:
            return Reloaded(False, error.diagnostics) if dry_run else _refused(by, error)
        except OSError as error:
            return _refused(by, _not_kept(error))
        _log.info("configuration reloaded", changes=len(changed), **asdict(by))
        return Reloaded(True, changes=tuple(changed))

    async def _put_in_force(self, config: Config, by: Author) -> Sequence[Change]:
        """Returns what differs from what was in force the moment before."""
        changed: list[Change] = []

        def replaced(running: Config) -> Config:
            changed.extend(changes(running, config))
            return config

        await self._plane.update(replaced, by=by)
        return changed


def _refused(by: Author, error: ConfigError) -> Reloaded:
    for problem in error.diagnostics[:LOGGED_MAX]:
        _log.error(
            "configuration refused, the one in force stays",
            line=problem.line,
            field=problem.path,
            error=problem.message,
            **asdict(by),
        )
    return Reloaded(False, error.diagnostics)


def _changeable_from(running: Config) -> Check:
    """Checks what a start checks, and that nothing changes which only a start can change."""

    def check(config: Config) -> Findings:
        fixed = list(fixed_findings(running, config))
        yield from fixed
        if not fixed:  # or files would be looked at that are not to be used
            yield from served_findings(config, os.environ)

    return check


def _not_kept(error: OSError) -> ConfigError:
    message = f"it cannot be kept in the state folder: {error.strerror}"
    return ConfigError((Diagnostic("", None, message),))
