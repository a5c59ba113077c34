"""Keeps the keys that callers show: on the disk first, and then at every worker.

A file that cannot be read is fail-closed: no key holds, and nobody who shows none is believed to be
a tenant, until an operator makes keys anew.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from server.config.changes import Change
from server.control.kept_config import KeptConfig
from server.control.kept_file import FileRefused, read_own, set_aside, write_whole
from server.control.key_messages import key_set
from server.control.key_ring import RING_BYTES_MAX, KeyRecord, KeyRing, Terms
from server.control.key_totals import KeyTotal, KeyTotals
from server.control.update_log import Author, Update
from server.routing.keys import ID_ALPHABET, ID_CHARS, SECRET_BYTES, digest_of, whole
from turnout.v1.control_pb2 import KeyUse, WatchKeysResponse

_log = structlog.get_logger()


class KeyKeeper:
    """Every change is kept with who asked for it, as those of the configuration are."""

    def __init__(
        self,
        path: Path,
        kept: KeptConfig,
        updating: asyncio.Lock,
        *,
        epoch: int,
        clock: Callable[[], float],
    ) -> None:
        """`updating` is held while `kept` is written to, by whoever does.

        `epoch` is another for each start of the control plane.
        """
        self._path = path
        self._kept = kept
        self._epoch = epoch
        self._updating = updating
        self._clock = clock
        self._ring = read_ring(path)
        self._on_disk = self._ring
        self._ids = _ids_in(self._ring)  # revoked ones too
        self._used: dict[str, float] = {}  # of these
        self.totals = KeyTotals()
        self._news = asyncio.Event()
        self._told = key_set(self._ring, epoch=epoch, number=1)

    @property
    def ring(self) -> KeyRing:
        """All keys, with when each was used last."""
        return (self._ring or KeyRing()).used(self._used)

    @property
    def number(self) -> int:
        """Of the keys in force, as workers tell it."""
        return self._told.number

    async def watch(self) -> AsyncIterator[WatchKeysResponse]:
        """The keys in force, then those after each change; never ends."""
        seen = 0
        while True:
            news, told = self._news, self._told
            if told.number == seen:
                await news.wait()
            else:
                seen = told.number
                yield told

    async def create(self, terms: Terms, *, by: Author) -> tuple[KeyRecord, str]:
        """A new key, and what its holder shows; raises InvalidRequest, or OSError."""
        return await asyncio.shield(self._create(terms, by))

    async def rotate(self, id_: str, *, overlap_s: float, by: Author) -> tuple[KeyRecord, str]:
        """The key with another secret, and what its holder shows from now on; raises as create."""
        return await asyncio.shield(self._rotate(id_, overlap_s, by))

    async def revoke(self, id_: str, *, by: Author) -> KeyRecord:
        """The key, by which nobody is served from now on; raises NotFound, or OSError."""
        return await asyncio.shield(self._revoke(id_, by))

    def count_use(self, used: Iterable[KeyUse], *, worker: str = "", boot: str = "") -> None:
        """Takes from a push when keys were used last, and what that worker has counted of them."""
        for use in used:
            if use.id not in self._ids:
                continue
            self._used[use.id] = max(use.used_s, self._used.get(use.id, 0.0))
            total = use.requests, use.input_tokens, use.output_tokens, use.cost_nano_usd
            self.totals.count(worker, boot, use.id, KeyTotal(*total))

    async def write_again(self) -> None:
        """Writes what others have removed since, and when keys were used; a full disk is told."""
        if self._ring is None:
            return
        ring = self.ring
        if ring == self._on_disk and self._path.exists():
            return
        try:
            await self._write(ring)
        except OSError as error:  # no reason to stop: every change of a key was kept before it held
            _log.warning("the keys cannot be kept again", error=str(error))

    async def _create(self, terms: Terms, by: Author) -> tuple[KeyRecord, str]:
        async with self._updating:
            id_ = next(made for made in iter(_new_id, "") if made not in self._ids)
            secret = whole(id_, secrets.token_urlsafe(SECRET_BYTES))
            ring = self.ring.created(id_, digest_of(secret), terms, now_s=self._clock())
            await self._replace(ring, id_, f"created for tenant {terms.tenant!r}", by)
        return ring.find(id_), secret

    async def _rotate(self, id_: str, overlap_s: float, by: Author) -> tuple[KeyRecord, str]:
        async with self._updating:
            secret = whole(id_, secrets.token_urlsafe(SECRET_BYTES))
            ring = self.ring.rotated(
                id_, digest_of(secret), overlap_s=overlap_s, now_s=self._clock()
            )
            await self._replace(ring, id_, f"rotated, the old secret holds {overlap_s:g} s", by)
        return ring.find(id_), secret

    async def _revoke(self, id_: str, by: Author) -> KeyRecord:
        async with self._updating:
            before = self.ring
            ring = before.revoked(id_, now_s=self._clock())
            if ring is not before:
                await self._replace(ring, id_, "revoked", by)
        return ring.find(id_)

    async def _replace(self, ring: KeyRing, id_: str, done: str, by: Author) -> None:
        """Returns once it is on the disk and every worker is being told; raises OSError."""
        change = Change(f"keys.{id_}", "", "", f"keys: {id_} {done}")
        await self._kept.keep(
            Update.of([change], by, now_s=self._clock()), lambda: self._write_now(ring)
        )
        self._ring = self._on_disk = ring
        self._ids = _ids_in(ring)
        self._used = {key: used_s for key, used_s in self._used.items() if key in self._ids}
        self.totals.keep(self._ids)
        self._publish()

    def _publish(self) -> None:
        self._told = key_set(self._ring, epoch=self._epoch, number=self.number + 1)
        self._news.set()
        self._news = asyncio.Event()

    async def _write(self, ring: KeyRing) -> None:
        await asyncio.to_thread(self._write_now, ring)
        self._on_disk = ring

    def _write_now(self, ring: KeyRing) -> None:
        write_whole(self._path, ring.to_bytes())


def read_ring(path: Path) -> KeyRing | None:
    """The keys that were kept; None where none was ever made.

    A file that is not ours is named in the log and set aside, and stands there until keys are made.
    """
    try:
        return KeyRing.from_bytes(read_own(path, bytes_max=RING_BYTES_MAX))
    except FileNotFoundError:
        # A kill may come before the file is there that says so.
        return _lost(path) if path.with_name(f"{path.name}.damaged").exists() else None
    except (FileRefused, ValueError) as error:
        with suppress(OSError):
            set_aside(path)
        _log.error(
            "the keys are lost, and none holds any more: the file is set aside, make keys anew",
            file=str(path),
            error=str(error),
        )
        return _lost(path)


def _lost(path: Path) -> KeyRing:
    """Says on the disk that there were keys, so that another start knows it too."""
    ring = KeyRing(lost=True)
    try:
        write_whole(path, ring.to_bytes())
    except OSError as error:
        _log.warning("that the keys are lost cannot be kept", error=str(error))
    return ring


def _ids_in(ring: KeyRing | None) -> frozenset[str]:
    return frozenset() if ring is None else frozenset(record.id for record in ring.records)


def _new_id() -> str:
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_CHARS))
