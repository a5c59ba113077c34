"""What both directions of HPACK know of fields and of the tables that hold them."""

from collections.abc import Iterable
from typing import TypeVar

Header = tuple[bytes, bytes]  # name and value

# Until SETTINGS_HEADER_TABLE_SIZE is acknowledged (RFC 9113, section 6.5.2).
TABLE_BYTES = 4_096
# Runs of indices at the beginning of blocks, and blocks that are nothing else, kept as they were
# while the table does not change: a connection has a few heads and trailers. A run that is longer
# than 64 octets is of no head of a call.
CACHED_BLOCKS_MAX = 64
CACHED_BLOCK_BYTES_MAX = 64

# What a field counts beside its name and value, in a table and in a list.
_OVERHEAD_BYTES = 32

Key = TypeVar("Key")
Kept = TypeVar("Kept")


def field_bytes(field: Header) -> int:
    """What a field counts in a table and in a list."""
    return len(field[0]) + len(field[1]) + _OVERHEAD_BYTES


def list_bytes(fields: Iterable[Header]) -> int:
    """What a list of fields counts."""
    return sum(map(field_bytes, fields))


def keep(cached: dict[Key, Kept], key: Key, kept: Kept) -> None:
    """The next call of the same kind finds it again; a full cache begins anew."""
    if len(cached) >= CACHED_BLOCKS_MAX:
        cached.clear()
    cached[key] = kept
