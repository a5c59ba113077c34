"""Decision ids: opaque, authenticated, and enough to settle an outcome without having decided.

A decision id is base64url of a body encrypted with AES-SIV (RFC 5297): a tag of the body, which is
the initialisation vector too, then the body. Bodies differ in boot and count, so no two ids have
anything in common.
"""

import base64
import binascii
import hashlib
import struct
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from server.routing.catalog import Cell
from server.routing.errors import DecisionExpired, DecisionInvalid

VALID_S = 30 * 86_400
KEY_BYTES = 32
# A file's key is for no more than this, and for this layout: ids of another are not ours.
_PURPOSE = b"turnout decision id 3"
_TAG_BYTES = 16
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Of tag and body together: 32 characters, so that none is padding, and a length says little.
_STEP_BYTES = 24
# As many tenants as have keys.
_OWNERS_REMEMBERED = 1_000
# Marks the end of the names; zeros fill up to the next step.
_END = b"\x80"
# kind, audit probability, issued (s), boot of the worker, count within it, expected cost
_HEAD = struct.Struct("<BfIQQQ")
_OWNED = 0x80  # in the kind: the owner's tag follows
# Of names that operators give: no two of them share so many bits by chance.
_OWNER_BYTES = 8
_COUNT_AT, _COUNT_BYTES = 17, 8
_NAMES = 7  # of the cell five, then model and version
# For how many decisions ids are made ahead within a second, a KB each and its ids; when there are
# more, all begin anew.
SAID_MAX = 1_000
# Sealing so many takes the loop some 40 us, and 8 KB.
SEALED_AT_ONCE_MAX = 32
# No id of ours is longer: seven names of at most 63 characters, payers of several budgets aside.
DECISION_ID_CHARS_MAX = 4_096


class Kind(IntEnum):
    """Who called the model, and so who tells its usage."""

    ROUTE = 1
    INFER = 2


# Kind, cell, the model's name and version, audit probability, expected cost in nano-dollars, owner.
_Said: TypeAlias = tuple[Kind, Cell, tuple[str, str], float, int, bytes]


@dataclass(frozen=True, slots=True)
class OpenDecision:
    """What a decision id says."""

    decision_id: str
    kind: Kind
    cell: Cell
    model: str
    version: str
    audit_probability: float  # 0: not in the audit sample
    issued_s: int
    expected_cost_nano_usd: int
    owner: bytes = b""  # the tag of the tenant whose key asked for it; empty: nobody with a name


class Sealer:
    """Makes decision ids.

    Of a decision that is made again and again, ids are made some at a time: sealed in a row they
    take a third of what they take one by one between other work.
    """

    def __init__(self, key: bytes, boot: int) -> None:
        """`boot` is 64 random bits: it tells apart the workers, and their starts, of one key."""
        self._key = key
        self._encrypt = _cipher(key).encrypt
        self._boot = boot
        self.sealed = 0  # ids that were ever sealed, with those that nobody took
        self._issued_s = 0
        self._ids: dict[_Said, Iterator[str]] = {}  # by what they say, of this second

    def seal(  # noqa: PLR0913 - what an id says
        self,
        kind: Kind,
        cell: Cell,
        model: tuple[str, str],  # name, version
        *,
        audit_probability: float,
        expected_cost_nano_usd: int,
        owner: bytes = b"",
        now_s: float,
    ) -> str:
        """A new id, different from every other."""
        issued_s = int(now_s)
        if issued_s != self._issued_s:
            self._issued_s, self._ids = issued_s, {}
        said = (kind, cell, model, audit_probability, expected_cost_nano_usd, owner)
        ids = self._ids.get(said)
        if ids is None:
            if len(self._ids) >= SAID_MAX:
                self._ids.clear()
            ids = self._ids[said] = self._make(said, issued_s)
        return next(ids)

    def sealing(  # noqa: PLR0913 - what an id says
        self,
        kind: Kind,
        cell: Cell,
        model: tuple[str, str],  # name, version
        *,
        audit_probability: float,
        expected_cost_nano_usd: int,
        owner: bytes = b"",
        now_s: float,
    ) -> Callable[[], str]:
        """Makes new ids that all say the same, in less time than `seal`."""
        said = (kind, cell, model, audit_probability, expected_cost_nano_usd, owner)
        return self._make(said, int(now_s)).__next__

    def open(self, decision_id: str, *, now_s: float) -> OpenDecision:
        """As `open_decision`, with the same key."""
        return open_decision(self._key, decision_id, now_s=now_s)

    @property
    def said(self) -> int:
        """For how many decisions of this second ids are ready."""
        return len(self._ids)

    def _make(self, said: _Said, issued_s: int) -> Iterator[str]:
        """Makes ids for ever; never makes more ahead than were taken."""
        kind, cell, model, audit_probability, cost, owner = said
        flags = kind | _OWNED if owner else kind
        body = _HEAD.pack(flags, audit_probability, issued_s, self._boot, 0, cost) + owner
        body += _names(cell, model, len(body))
        at_once = 1
        while True:
            yield from self._sealed(body, at_once)
            at_once = min(2 * at_once, SEALED_AT_ONCE_MAX)

    def _sealed(self, body: bytes, many: int) -> list[str]:
        before, after = body[:_COUNT_AT], body[_COUNT_AT + _COUNT_BYTES :]
        first, self.sealed = self.sealed + 1, self.sealed + many
        encrypt = self._encrypt
        sealed = [
            encrypt(before + count.to_bytes(_COUNT_BYTES, "little") + after, None)
            for count in range(first, first + many)
        ]
        # As base64.urlsafe_b64encode does: none ends in padding, so it can be cut again.
        text = b2a_base64(b"".join(sealed), newline=False).translate(_URL_SAFE).decode()
        chars = len(text) // many
        return [text[at : at + chars] for at in range(0, len(text), chars)]


def open_decision(key: bytes, decision_id: str, *, now_s: float) -> OpenDecision:
    """Reads an id that this service made; raises DecisionInvalid or DecisionExpired."""
    body = _opened(key, decision_id)
    kind, audit, issued_s, _boot, _count, cost = _HEAD.unpack_from(body)
    names_at = _HEAD.size + (_OWNER_BYTES if kind & _OWNED else 0)
    joined = body[names_at:].rstrip(b"\0").removesuffix(_END)
    names = joined.decode().split("\0", _NAMES - 1)  # a version may hold anything
    if now_s - issued_s > VALID_S:
        raise DecisionExpired("the decision is older than 30 days", field="decision_id")
    return OpenDecision(
        decision_id=decision_id,
        kind=Kind(kind & ~_OWNED),
        cell=Cell(*names[:5]),
        model=names[5],
        version=names[6],
        audit_probability=audit,
        issued_s=issued_s,
        expected_cost_nano_usd=cost,
        owner=body[_HEAD.size : names_at],
    )


@lru_cache(_OWNERS_REMEMBERED)
def owner_tag(tenant: str) -> bytes:
    """How an id says whose it is: short, whatever the tenant is called."""
    return hashlib.blake2b(tenant.encode(), digest_size=_OWNER_BYTES).digest()


def _opened(key: bytes, decision_id: str) -> bytes:
    if not _TAG_BYTES < len(decision_id) <= DECISION_ID_CHARS_MAX:
        raise _invalid()
    try:
        sealed = base64.b64decode(decision_id.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _invalid() from None
    # One spelling only: otherwise a sign of the other alphabet would make a second id.
    if base64.urlsafe_b64encode(sealed).decode() != decision_id or len(sealed) <= _TAG_BYTES:
        raise _invalid()
    try:
        return _cipher(key).decrypt(sealed, None)  # compares tags in constant time
    except InvalidTag:
        raise _invalid() from None


def _names(cell: Cell, model: tuple[str, str], before_bytes: int) -> bytes:
    joined = "\0".join((*cell, *model)).encode() + _END
    return joined + bytes(-(_TAG_BYTES + before_bytes + len(joined)) % _STEP_BYTES)


@lru_cache(1)
def _cipher(key: bytes) -> AESSIV:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of decision ids has {KEY_BYTES} bytes, not {len(key)}")
    return AESSIV(hashlib.blake2b(_PURPOSE, key=key).digest())


def _invalid() -> DecisionInvalid:
    return DecisionInvalid(
        "this id was not made by this service: send back the one it answered with, unchanged",
        field="decision_id",
    )
