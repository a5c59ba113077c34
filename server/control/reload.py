"""Puts another configuration file in force while the service runs: whole, or not at all.

What the file says is all that holds afterwards: updates that operators made meanwhile are undone,
as a restart would undo them, and are told like every other change.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from server.config.changes import Change, changes, fixed_problems
from server.config.file import Check, file_bytes, read
from server.config.problems import ConfigError, Problem, Problems
from server.config.schema import Config
from server.control.plane import ControlPlane
from server.named_files.check import named_files_problems

# Compiling a large configuration takes a worker some seconds on a busy machine.
FOLLOWED_S_MAX = 10.0
_LOOK_S = 0.05
# Lines of the log for one reload.
LOGGED_MAX = 100

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of it."""

    in_force: bool
    problems: tuple[Problem, ...] = ()  # why it is not
    changes: tuple[Change, ...] = ()


OnChanged = Callable[[str, Sequence[Change]], None]


def _keep_nothing(_source: str, _changes: Sequence[Change]) -> None:
    pass


class Reloads:
    """One after another. Reading and checking are done beside the loop."""

    def __init__(
        self, plane: ControlPlane, file: Path | None = None, on_changed: OnChanged = _keep_nothing
    ) -> None:
        """`file` is the one that the service was started with.

        `on_changed` is told whose file it was and what has changed, once it is in force.
        """
        self._plane = plane
        self._file = file
        self._on_changed = on_changed
        self._reading = asyncio.Lock()  # files of 4 MiB take seconds, and many at once would too

    async def follow(self, wanted: asyncio.Event) -> NoReturn:
        """Reads the file of the start again whenever this is set; set twice meanwhile, once."""
        while True:
            await wanted.wait()
            wanted.clear()
            await self.reload_file()

    async def reload_file(self) -> Reloaded:
        """Puts the file of the start in force as it is now; the log says what came of it."""
        if self._file is None:
            return Reloaded(False, (Problem("", None, "the service was started without a file"),))
        try:
            data = await asyncio.to_thread(file_bytes, self._file)
        except ConfigError as error:
            return self._refused(str(self._file), error)
        return await self.reload(data, source=str(self._file))

    async def reload(self, data: bytes, *, source: str, dry_run: bool = False) -> Reloaded:
        """Puts what a file has in force; the log says what came of it.

        `source` says whose file it is.
        """
        # Who gives up meanwhile must not leave it in force and untold.
        return await asyncio.shield(self._reload(data, source, dry_run=dry_run))

    async def behind(self) -> Sequence[str]:
        """Waits until every worker has followed; those that have not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_S_MAX):
                while self._plane.behind():  # noqa: ASYNC110 - workers push, whatever they push
                    await asyncio.sleep(_LOOK_S)
        return self._plane.behind()

    async def _reload(self, data: bytes, source: str, *, dry_run: bool) -> Reloaded:
        try:
            async with self._reading:
                check = _changeable_from(self._plane.config)
                config = await asyncio.to_thread(read, data, further_check=check)
            if dry_run:
                return Reloaded(False, changes=tuple(changes(self._plane.config, config)))
            changed = await self._put_in_force(config)
        except ConfigError as error:
            return Reloaded(False, error.problems) if dry_run else self._refused(source, error)
        except OSError as error:
            return self._refused(source, _not_kept(error))
        self._tell(source, changed)
        return Reloaded(True, changes=tuple(changed))

    async def _put_in_force(self, config: Config) -> Sequence[Change]:
        """What has changed, against what was in force the moment before."""
        changed: list[Change] = []

        def replaced(running: Config) -> Config:
            changed.extend(changes(running, config))
            return config

        await self._plane.update(replaced)
        return changed

    def _tell(self, source: str, changed: Sequence[Change]) -> None:
        _log.info("configuration reloaded", file=source, changes=len(changed))
        for change in changed[:LOGGED_MAX]:
            _log.info("configuration changed", change=change.text)
        if changed:
            self._on_changed(source, changed)

    def _refused(self, source: str, error: ConfigError) -> Reloaded:
        for problem in error.problems[:LOGGED_MAX]:
            _log.error(
                "configuration refused, the one in force stays",
                file=source,
                line=problem.line,
                field=problem.path,
                error=problem.message,
            )
        return Reloaded(False, error.problems)


def _changeable_from(running: Config) -> Check:
    """What a start checks, and that nothing changes which only a start can change."""

    def check(config: Config) -> Problems:
        fixed = list(fixed_problems(running, config))
        yield from fixed
        if not fixed:  # or files would be looked at that are not to be used
            yield from named_files_problems(config)

    return check


def _not_kept(error: OSError) -> ConfigError:
    message = f"it cannot be kept in the state folder: {error.strerror}"
    return ConfigError((Problem("", None, message),))
