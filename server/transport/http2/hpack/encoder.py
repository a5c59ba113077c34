"""Encodes header blocks (RFC 7541), with the table of one direction of a connection."""

from collections.abc import Sequence
from functools import lru_cache

from server.transport.http2.hpack.primitives import (
    INCREMENTAL,
    INDEXED,
    NEVER_INDEXED,
    PREFIX_4,
    PREFIX_5,
    PREFIX_6,
    PREFIX_7,
    SIZE_UPDATE,
    encoded_integer,
    encoded_string,
)
from server.transport.http2.hpack.static_table import FIRST_DYNAMIC, STATIC_TABLE
from server.transport.http2.hpack.table import (
    CACHED_BLOCK_BYTES_MAX,
    TABLE_BYTES,
    Header,
    field_bytes,
    keep,
)

# Fields whose values repeat from call to call. Any other is sent as it is: a value that is new each
# time would drive these out of the table, and void the cached blocks of both ends.
_REPEATED = frozenset(
    b":authority :method :path :scheme :status accept-encoding content-type grpc-accept-encoding"
    b" grpc-encoding grpc-status server te user-agent".split()
)
# Nor may anyone on the way put these into a table (section 7.1.3); baggage may say who a user is.
_SENSITIVE = frozenset(
    b"authorization baggage cookie proxy-authorization set-cookie x-api-key".split()
)
# Fields of calls that failed: many in the same words, which are too long for a table.
_OF_FAILURES = frozenset((b"grpc-message", b"grpc-status-details-bin"))
FAILURE_FIELDS_KEPT_MAX = 256
# By name and value, and by name; of several indices the first.
_STATIC_CODES = {
    field: bytes((INDEXED | index,)) for index, field in reversed([*enumerate(STATIC_TABLE, 1)])
}
_STATIC_NAMES = {name: index for index, (name, _) in reversed([*enumerate(STATIC_TABLE, 1)])}


@lru_cache(maxsize=FAILURE_FIELDS_KEPT_MAX)
def failure_literal(name: bytes, value: bytes) -> bytes:
    """A literal that is not indexed, the same on every connection."""
    return b"\0" + encoded_string(name) + encoded_string(value)


class Encoder:
    """Encodes the blocks of one direction of a connection, in their order.

    Names are lower case. Encoded blocks may be joined: together they are the block of both lists.
    """

    def __init__(self) -> None:
        self._table_bytes_max = TABLE_BYTES
        self._table_bytes = 0
        self._table: list[Header] = []  # the newest first
        self._codes = _STATIC_CODES  # of the fields of both tables
        self._updates: tuple[int, ...] = ()  # table sizes that the next block begins with
        self._cached: dict[tuple[Header, ...], bytes] = {}

    def table_size(self, table_bytes: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE changed; of more than 4,096 we make no use."""
        size = min(table_bytes, TABLE_BYTES)
        if size == self._table_bytes_max:
            return
        smallest = min((size, *self._updates))
        self._updates = (size,) if size == smallest else (smallest, size)
        self._table_bytes_max = size
        self._evict(size)

    def encode(self, headers: Sequence[Header]) -> bytes:
        """The block. A tuple of fields that repeat costs one look-up from its third time on; what
        is new with each call is better a list, for which nothing is looked up in vain.
        """
        key = headers if isinstance(headers, tuple) else None
        if key is not None and (cached := self._cached.get(key)) is not None:
            return cached
        # `_codes` is replaced by what is inserted on the way.
        block = b"".join([self._codes.get(field) or self._literal(field) for field in headers])
        if self._updates:
            block = self._size_updates() + block
        # With as many octets as fields, each is an index.
        if key is not None and len(block) == len(key) <= CACHED_BLOCK_BYTES_MAX:
            keep(self._cached, key, block)
        return block

    def _literal(self, field: Header) -> bytes:
        name, value = field
        if name in _OF_FAILURES:
            return failure_literal(name, value)
        if name in _REPEATED and self._insert(field):
            kind, prefix = INCREMENTAL, PREFIX_6
        else:
            kind, prefix = NEVER_INDEXED if name in _SENSITIVE else 0, PREFIX_4
        index = _STATIC_NAMES.get(name)
        if index is not None:
            return encoded_integer(kind, prefix, index) + encoded_string(value)
        if len(name) < PREFIX_7 and len(value) < PREFIX_7:  # what follows, in one step
            return b"%c%c%b%c%b" % (kind, len(name), name, len(value), value)
        return bytes((kind,)) + encoded_string(name) + encoded_string(value)

    def _insert(self, field: Header) -> bool:
        """Whether it is in the table now: what takes more than half would drive too many out."""
        size = field_bytes(field)
        if size > self._table_bytes_max // 2:
            return False
        self._table.insert(0, field)
        self._table_bytes += size
        self._evict(self._table_bytes_max)
        return True

    def _evict(self, table_bytes_max: int) -> None:
        """Drops the oldest fields; every other has a new index."""
        while self._table_bytes > table_bytes_max:
            self._table_bytes -= field_bytes(self._table.pop())
        dynamic = {
            field: encoded_integer(INDEXED, PREFIX_7, index)
            for index, field in enumerate(self._table, FIRST_DYNAMIC)
        }
        self._codes = _STATIC_CODES | dynamic
        self._cached.clear()

    def _size_updates(self) -> bytes:
        updates = [encoded_integer(SIZE_UPDATE, PREFIX_5, size) for size in self._updates]
        self._updates = ()
        return b"".join(updates)
