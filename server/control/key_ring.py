"""The keys of a service, as they are kept: what each may, whose it is, and its secrets' hashes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, TypeAdapter

from server.routing.errors import InvalidRequest, NotFound
from server.routing.keys import DIGEST_BYTES, ID_CHARS, KEYS_MAX, SECRETS_MAX, KeptSecret, Key

CLASSES_MAX = 32
TENANT_BYTES_MAX = 256
NOTE_BYTES_MAX = 128
LIMIT_MAX = 1_000_000_000
OVERLAP_S_MAX = 90 * 86_400
# The end of the year 9999, which is as far as a timestamp goes.
TIME_S_MAX = 253_402_300_799
# 1,000 with the longest names and all that they may have.
RING_BYTES_MAX = 8 * 2**20
# Raised with each change that an older Turnout could not read.
SCHEMA = 1

_Time = Annotated[float, Field(ge=0, le=TIME_S_MAX)]
_Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]
_Class = Annotated[str, Field(max_length=63)]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A secret that its holder has, and nobody else."""

    sha256: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * DIGEST_BYTES}}}$")]
    until_s: _Time | None = None  # None: as long as the key; else a newer one took its place


@dataclass(frozen=True, slots=True)
class Terms:
    """What the holder of a key may ask. None: without a limit."""

    tenant: Annotated[str, Field(min_length=1, max_length=TENANT_BYTES_MAX)]
    classes: Annotated[tuple[_Class, ...], Field(max_length=CLASSES_MAX)] = ()  # empty: all
    requests_per_minute: _Limit | None = None
    concurrent: _Limit | None = None
    expires_s: _Time | None = None
    note: Annotated[str, Field(max_length=NOTE_BYTES_MAX)] = ""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key."""

    id: Annotated[str, Field(pattern=rf"^[a-z0-9]{{{ID_CHARS}}}$")]
    terms: Terms
    # The newest first.
    secrets: Annotated[tuple[Hashed, ...], Field(min_length=1, max_length=SECRETS_MAX)]
    created_s: _Time
    rotated_s: _Time | None = None
    revoked_s: _Time | None = None
    used_s: _Time | None = None

    @property
    def key(self) -> Key:
        """As workers know it."""
        terms = self.terms
        return Key(
            self.id,
            terms.tenant,
            tuple(KeptSecret(bytes.fromhex(one.sha256), one.until_s) for one in self.secrets),
            frozenset(terms.classes),
            terms.requests_per_minute,
            terms.concurrent,
            terms.expires_s,
        )

    def is_over(self, now_s: float) -> bool:
        """Whether nobody can be served by it any more."""
        expires_s = self.terms.expires_s
        return self.revoked_s is not None or (expires_s is not None and now_s >= expires_s)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Replaced whole, never edited. Methods return the ring that a change makes."""

    records: tuple[KeyRecord, ...] = ()  # in the order in which they were made
    lost: bool = False  # there were others, and their file could not be read

    def find(self, id_: str) -> KeyRecord:
        """Raises NotFound."""
        for record in self.records:
            if record.id == id_:
                return record
        raise NotFound("there is no such key: 'turnout keys list' shows their ids", field="id")

    def created(self, id_: str, digest: bytes, terms: Terms, *, now_s: float) -> "KeyRing":
        """With one more; where there is no room the oldest goes that is over.

        Raises InvalidRequest where none is.
        """
        records = self.records
        if len(records) >= KEYS_MAX:
            over = next((record for record in records if record.is_over(now_s)), None)
            if over is None:
                raise InvalidRequest(f"there are {KEYS_MAX:,} keys: revoke one that is not used")
            records = tuple(record for record in records if record is not over)
        made = KeyRecord(id_, terms, (Hashed(digest.hex()),), created_s=now_s)
        return KeyRing((*records, made))

    def rotated(self, id_: str, digest: bytes, *, overlap_s: float, now_s: float) -> "KeyRing":
        """With another secret of a key; those that it had hold so long at most.

        Raises NotFound, and InvalidRequest for a key that is over.
        """
        record = self.find(id_)
        if record.is_over(now_s):
            raise InvalidRequest("the key is revoked or has expired: create another", field="id")
        until_s = now_s + overlap_s
        old = [
            replace(one, until_s=until_s if one.until_s is None else min(one.until_s, until_s))
            for one in record.secrets
        ]
        secrets = (Hashed(digest.hex()), *old)[:SECRETS_MAX]
        return self._with(replace(record, secrets=secrets, rotated_s=now_s))

    def revoked(self, id_: str, *, now_s: float) -> "KeyRing":
        """Without a key, but for its record; the same ring where it was revoked before.

        Raises NotFound.
        """
        record = self.find(id_)
        if record.revoked_s is not None:
            return self
        return self._with(replace(record, revoked_s=now_s))

    def used(self, seen: Mapping[str, float]) -> "KeyRing":
        """With the moments at which keys were used last, where these are later ones."""
        return replace(self, records=tuple(_used(one, seen.get(one.id)) for one in self.records))

    def keys(self) -> list[Key]:
        """Those that are not revoked."""
        return [record.key for record in self.records if record.revoked_s is None]

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return _KEPT.dump_json(_Kept(SCHEMA, self.records, self.lost)) + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> "KeyRing":
        """What `to_bytes` made; raises ValueError where it is something else."""
        kept = _KEPT.validate_json(content, strict=True)
        if kept.turnout_keys != SCHEMA:
            raise ValueError(f"it is of form {kept.turnout_keys}, and this Turnout writes {SCHEMA}")
        if len({record.id for record in kept.keys}) < len(kept.keys):
            raise ValueError("it has two keys of one id")
        return cls(kept.keys, kept.lost)

    def _with(self, changed: KeyRecord) -> "KeyRing":
        records = tuple(changed if one.id == changed.id else one for one in self.records)
        return replace(self, records=records)


@dataclass(frozen=True, slots=True)
class _Kept:
    turnout_keys: int
    keys: Annotated[tuple[KeyRecord, ...], Field(max_length=KEYS_MAX)]
    lost: bool


_KEPT: TypeAdapter[_Kept] = TypeAdapter(_Kept)


def _used(record: KeyRecord, seen_s: float | None) -> KeyRecord:
    if seen_s is None or (record.used_s is not None and record.used_s >= seen_s):
        return record
    return replace(record, used_s=seen_s)
