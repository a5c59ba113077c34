"""A key that callers show, as far as it is kept: everything but its secret.

What callers show is `tk_ID_SECRET`. Of the secret only the SHA-256 is kept. That is enough for 256
random bits, which nobody can try out; what makes the hashes of passwords slow would be for nothing,
and each call would pay it.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import NamedTuple

# All workers have all of them in memory, and get them in one message of some 200 KB.
KEYS_MAX = 1_000
# Of one key: the newest, and those that it took the place of. The oldest goes.
SECRETS_MAX = 4

ID_CHARS = 10
ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
SECRET_BYTES = 32
DIGEST_BYTES = 32

_WHOLE = re.compile(r"tk_([a-z0-9]{10})_[A-Za-z0-9_-]{43}", re.ASCII)


class KeptSecret(NamedTuple):
    """One secret of a key."""

    digest: bytes
    until_s: float | None = None  # None: as long as the key; else a newer one took its place


@dataclass(frozen=True, slots=True)
class Key:
    """What its holder may ask. None: without a limit."""

    id: str
    tenant: str
    secrets: tuple[KeptSecret, ...]  # the newest first
    classes: frozenset[str] = frozenset()  # empty: all
    requests_per_minute: int | None = None
    concurrent: int | None = None
    expires_s: float | None = None

    def find(self, digest: bytes) -> KeptSecret | None:
        """The secret of this digest; how long that takes says nothing of those it is not."""
        found = None
        for secret in self.secrets:
            if hmac.compare_digest(secret.digest, digest):
                found = secret
        return found


def whole(id_: str, secret: str) -> str:
    """What its holder shows."""
    return f"tk_{id_}_{secret}"


def id_of(shown: str) -> str | None:
    """The id in what is shown; None where that has not the form of a key."""
    found = _WHOLE.fullmatch(shown)
    return found and found[1]


def digest_of(shown: str) -> bytes:
    """What is kept of a key that is shown."""
    return hashlib.sha256(shown.encode()).digest()
