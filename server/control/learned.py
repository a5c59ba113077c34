"""The learned classifier as the control plane sees it: drift, kept requests, its successor."""

import asyncio
import hashlib
from pathlib import Path

import structlog

from server.config import Config
from server.config.classifier_file import check_domains, read_classifier
from server.control.comparison import Comparison, compare
from server.control.drift import DomainDrift, Drift
from server.control.kept_file import write_whole
from server.control.kept_requests import KeptRequests, read_kept
from server.routing.learned import ClassifierInvalid, LinearModel
from server.routing.learned.file_format import load
from turnout.v1 import admin_pb2 as pb
from turnout.v1.control_pb2 import PushStatsRequest
from turnout.v1.routing_pb2 import Outcome

_log = structlog.get_logger()


class Learned:
    """Every method runs on the event loop; files are read and written beside it."""

    def __init__(self, folder: Path, drift: DomainDrift) -> None:
        self._folder = folder
        self._drift = drift
        self._kept = KeptRequests(folder, 0)
        self._file = ""
        self._data = b""  # of the one in force
        self._drifted = False

    async def configure(self, config: Config) -> None:
        """Takes the classifier of a configuration; says so where it cannot be used."""
        named = config.classifier
        self._kept.configure(0 if named is None else named.keep_requests)
        self._file = "" if named is None else named.file
        if named is None:
            self._data = b""
            self._drift.expect({})
            return
        try:
            data = await asyncio.to_thread(read_classifier, named.file)
            self._drift.expect(load(data).header.shares)
        except ClassifierInvalid as error:
            _log.error("classifier refused", file=self._file, error=str(error))
            return
        self._data = data

    async def compared(self, config: Config, data: bytes) -> Comparison | None:
        """With the one in force; None where there is none. Raises ClassifierInvalid."""
        check_domains(config, load(data))
        if not self._data:
            return None
        return await asyncio.to_thread(_compared, self._data, data, self._folder)

    async def save(self, data: bytes) -> str:
        """Puts a classifier into the state folder under a name of its own; returns its path.

        Of earlier ones there only the one in force stays, for the configuration may name it.
        """
        path = self._folder / f"classifier-{hashlib.sha256(data).hexdigest()[:16]}.bin"
        await asyncio.to_thread(write_whole, path, data)
        for earlier in self._folder.glob("classifier-*.bin"):
            if str(earlier) not in (str(path), self._file):
                earlier.unlink(missing_ok=True)
        return str(path)

    def pushed(self, push: PushStatsRequest) -> None:
        """Keeps the texts that a worker sends."""
        for one in push.kept:
            self._kept.add(id=one.decision_id, text=one.text, domain=one.domain, intent=one.intent)

    def settled(self, outcome: Outcome, quality: float | None) -> None:
        """Keeps what a report says of a text."""
        told = {"true_domain": outcome.domain, "true_intent": outcome.intent, "quality": quality}
        fields = {key: value for key, value in told.items() if value not in ("", None)}
        if fields:
            self._kept.add(id=outcome.decision_id, **fields)

    async def keep(self, *, now_s: float) -> None:
        """Writes what waits, and says where the traffic has drifted or is as it was again."""
        try:
            await asyncio.to_thread(self._kept.write)
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


def _compared(before: bytes, after: bytes, folder: Path) -> Comparison:
    models = LinearModel.from_bytes(before), LinearModel.from_bytes(after)
    return compare(*models, read_kept(folder))


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
