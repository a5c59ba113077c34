"""The learned classifier as the control plane sees it: drift, kept requests, its successor."""

import asyncio
import hashlib
import os
import re
from pathlib import Path

import structlog

from server.config.schema import Config
from server.control.comparison import Comparison, compare
from server.control.drift import DomainDrift, Drift
from server.control.kept_file import write_whole
from server.control.kept_requests import KeptRequests, kept_ids, read_kept
from server.named_files.classifier import fitting, read_classifier
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.file_format import ClassifierInvalid, Contents
from turnout.v1 import admin_pb2 as pb
from turnout.v1.control_pb2 import PushStatsRequest
from turnout.v1.routing_pb2 import Outcome

# The names that `save` gives: what else is in the folder is its owner's.
_OURS = re.compile(r"classifier-[0-9a-f]{16}\.bin")

_log = structlog.get_logger()


class ClassifierKeeper:
    """Every method runs on the event loop; files are read and written beside it."""

    def __init__(self, folder: Path, drift: DomainDrift) -> None:
        self._folder = folder
        self._drift = drift
        self._kept = KeptRequests(folder, 0)
        self._kept_known = False  # the ids of what was kept before this start
        self._file = ""
        self._in_force: Contents | None = None
        self._saved: tuple[str, Contents] | None = None
        self._drifted = False

    async def configure(self, config: Config) -> None:
        """Takes the classifier of a configuration; says so where it cannot be used."""
        named = config.classifier
        self._kept.configure(0 if named is None else named.keep_requests)
        file = "" if named is None else named.file
        if file == self._file:
            return  # workers do not read it again either
        self._file = file
        if not file:
            self._in_force = None
            self._drift.expect({})
            return
        try:
            self._in_force = await self._contents(config, file)
            self._drift.expect(self._in_force.header.shares)
        except ClassifierInvalid as error:
            _log.error("classifier refused", file=file, error=str(error))

    async def compare(self, config: Config, data: bytes) -> tuple[Contents, Comparison | None]:
        """Read, and compared with the one in force, if any. Raises ClassifierInvalid."""
        contents = await asyncio.to_thread(fitting, config, data)
        if self._in_force is None:
            return contents, None
        args = self._in_force, contents, self._folder
        return contents, await asyncio.to_thread(_compared, *args)

    async def save(self, data: bytes, contents: Contents) -> str:
        """Puts a classifier into the state folder under a name of its own; returns its path.

        Of earlier ones there only the one in force stays, for the configuration may name it.
        """
        path = self._folder / f"classifier-{hashlib.sha256(data).hexdigest()[:16]}.bin"
        await asyncio.to_thread(_write_alone, path, data, in_force=self._file)
        self._saved = str(path), contents
        return str(path)

    def keep_texts(self, push: PushStatsRequest) -> None:
        """Keeps the texts that a worker sends."""
        for one in push.kept:
            self._kept.add(one.decision_id, one.text, domain=one.domain, intent=one.intent)

    def keep_labels(self, outcome: Outcome) -> None:
        """Keeps what a report says of a text."""
        self._kept.report(outcome.decision_id, domain=outcome.domain, intent=outcome.intent)

    async def keep(self, *, now_s: float) -> None:
        """Writes what waits, and says where the traffic has drifted or is as it was again."""
        try:
            await asyncio.to_thread(self._kept.writing())
            if not self._kept_known:
                self._kept.know(await asyncio.to_thread(kept_ids, self._folder))
                self._kept_known = True
        except OSError as error:  # a full disk is no reason to stop planning
            _log.warning("requests cannot be kept", error=str(error))
        drift = self._drift.of(now_s=now_s)
        drifted = drift is not None and drift.drifted
        if drift is not None and drifted != self._drifted:
            say = _log.warning if drifted else _log.info
            said = "traffic is unlike the training mix" if drifted else "traffic is as it was again"
            say(said, index=drift.index, seen=drift.seen, trained=drift.trained)
        self._drifted = drifted

    def status(self, *, now_s: float) -> pb.ClassifierStatus | None:
        """None where there is no classifier."""
        drift = self._drift.of(now_s=now_s)
        return None if drift is None else _status(self._file, drift)

    async def _contents(self, config: Config, file: str) -> Contents:
        """Of a file; what was saved a moment ago is not read again."""
        if self._saved is not None and self._saved[0] == file:
            return self._saved[1]
        return await asyncio.to_thread(_read, config, file)


def _read(config: Config, file: str) -> Contents:
    return fitting(config, read_classifier(file))


def _write_alone(path: Path, data: bytes, *, in_force: str) -> None:
    """Writes a classifier; of our earlier ones beside it only the one in force stays."""
    write_whole(path, data)
    stay = {path.resolve(), Path(os.path.expanduser(in_force)).resolve()}
    for beside in path.parent.iterdir():
        if _OURS.fullmatch(beside.name) and beside.resolve() not in stay:
            beside.unlink(missing_ok=True)


def _compared(before: Contents, after: Contents, folder: Path) -> Comparison:
    return compare(LearnedClassifier(before), LearnedClassifier(after), read_kept(folder))


def _status(file: str, drift: Drift) -> pb.ClassifierStatus:
    return pb.ClassifierStatus(
        file=file,
        drift=drift.index,
        drifted=drift.drifted,
        domains=[
            pb.DomainShare(domain=domain, trained=trained, seen=drift.seen[domain])
            for domain, trained in drift.trained.items()
        ],
    )
