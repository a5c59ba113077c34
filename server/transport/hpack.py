"""HPACK (RFC 7541): header blocks to headers and back, each direction with a table of its own.

Time and memory of a block are linear in its octets, whatever they say: a reference copies nothing,
and a table holds at most 4,096 bytes unless its owner says otherwise.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from server.transport.hpack_primitives import (
    INCREMENTAL,
    INDEXED,
    NEVER_INDEXED,
    PREFIX_4,
    PREFIX_5,
    PREFIX_6,
    PREFIX_7,
    SIZE_UPDATE,
    HpackError,
    encoded_integer,
    encoded_string,
    integer,
    string,
)
from server.transport.huffman import HuffmanError
from server.transport.static_table import STATIC_TABLE, Header

__all__ = ["Decoder", "Encoder", "Header", "HeaderListTooLarge", "HpackError"]

# Until SETTINGS_HEADER_TABLE_SIZE is acknowledged (RFC 9113, section 6.5.2).
TABLE_BYTES = 4_096
HEADER_LIST_BYTES_MAX = 16_384
# Runs of indices at the beginning of blocks, and blocks that are nothing else, kept as they were
# while the table does not change: a connection has a few heads and trailers. A run that is longer
# than 64 octets is of no head of a call.
CACHED_BLOCKS_MAX = 64
CACHED_BLOCK_BYTES_MAX = 64

# What a field counts beside its name and value, in a table and in a list.
_OVERHEAD_BYTES = 32
_FIRST_DYNAMIC = len(STATIC_TABLE) + 1
_ALL_ONES = 0xFF
# Each is a field of one of the two tables.
_INDICES = bytes(range(INDEXED + 1, _ALL_ONES))

Key = TypeVar("Key")
Kept = TypeVar("Kept")


class HeaderListTooLarge(Exception):
    """The block was decoded, so the table is right, but its headers are more than we take."""


def _field_bytes(field: Header) -> int:
    return len(field[0]) + len(field[1]) + _OVERHEAD_BYTES


def _list_bytes(fields: Iterable[Header]) -> int:
    return sum(map(_field_bytes, fields))


def _keep(cached: dict[Key, Kept], key: Key, kept: Kept) -> None:
    """The next call of the same kind finds it again; a full cache begins anew."""
    if len(cached) >= CACHED_BLOCKS_MAX:
        cached.clear()
    cached[key] = kept


class Decoder:
    """Decodes the blocks of one direction of a connection, in their order.

    Which literals were never to be indexed is not told: nothing of a call is sent on with its
    representation, and what may be secret the encoder knows by its name.
    """

    def __init__(self, *, list_bytes_max: int = HEADER_LIST_BYTES_MAX) -> None:
        self._list_bytes_max = list_bytes_max
        self._limit_bytes = TABLE_BYTES  # what the peer may choose
        self._shrink_to: int | None = None  # a lowered limit that the peer has not yet followed
        self._table_bytes_max = TABLE_BYTES  # what the peer chose
        self._table_bytes = 0
        # By index; of dynamic fields the newest comes first. Index 0 is never looked up.
        self._table: list[Header] = [(b"", b""), *STATIC_TABLE]
        # No field that the table ever held is larger.
        self._field_bytes_max = max(map(_field_bytes, STATIC_TABLE))
        self._cached: dict[bytes, tuple[Header, ...]] = {}

    def table_size(self, table_bytes: int) -> None:
        """The peer acknowledged our SETTINGS_HEADER_TABLE_SIZE.

        If it may still use more than that, its next block has to begin by using less.
        """
        self._limit_bytes = table_bytes
        if table_bytes < self._table_bytes_max:
            owed = table_bytes if self._shrink_to is None else self._shrink_to
            self._shrink_to = min(owed, table_bytes)
            self._cached.clear()  # the update that is due is not in them

    def decode(self, block: bytes) -> tuple[Header, ...]:
        """The headers; of the same block of indices the same tuple, until the table changes.

        Raises HpackError, after which there is nothing to decode, or HeaderListTooLarge.
        """
        rest = block.lstrip(_INDICES)
        run = block[: len(block) - len(rest)]
        known = self._cached.get(run)
        if known is not None and not rest:
            return known
        try:
            if known is None:
                known = self._indexed(run)
            fields = self._fields(known, rest) if rest else known
        except IndexError:
            raise HpackError("a block ends inside a field or names an index of no field") from None
        except HuffmanError as error:
            raise HpackError(str(error)) from None
        if self._shrink_to is not None:
            raise HpackError(f"a block must begin with a table size of at most {self._shrink_to}")
        # Counted only if a bound that costs nothing does not do: Huffman coding gains 8/5 at most.
        if len(fields) * self._field_bytes_max + 2 * len(block) > self._list_bytes_max:
            self._check_size(fields)
        return tuple(fields)

    def _indexed(self, run: bytes) -> tuple[Header, ...]:
        """Those of a run of indices, kept until a field changes the table: the next one may."""
        table = self._table
        fields = tuple([table[index - INDEXED] for index in run])
        if 0 < len(run) <= CACHED_BLOCK_BYTES_MAX and _list_bytes(fields) <= self._list_bytes_max:
            _keep(self._cached, run, fields)
        return fields

    def _fields(self, known: Sequence[Header], block: bytes) -> list[Header]:  # noqa: C901, PLR0915  each call pays for it: calls would double its time
        table = self._table
        fields = [*known]
        at, end = 0, len(block)
        while at < end:
            first = block[at]
            at += 1
            if INDEXED < first < _ALL_ONES:
                fields.append(table[first - INDEXED])
                continue
            if first < SIZE_UPDATE:  # a literal, without indexing or never indexed
                index = first & PREFIX_4
                if index == PREFIX_4:
                    index, at = integer(block, at, PREFIX_4)
            elif first < INCREMENTAL:
                if fields:
                    raise HpackError("a table size must stand at the beginning of a block")
                at = self._resize(block, at)
                continue
            elif first < INDEXED:  # a literal, with incremental indexing
                index = first & PREFIX_6
                if index == PREFIX_6:
                    index, at = integer(block, at, PREFIX_6)
            elif first == INDEXED:
                raise HpackError("index 0 names no field")
            else:
                index, at = integer(block, at, PREFIX_7)
                fields.append(table[index])
                continue
            if index:
                name = table[index][0]
            elif (length := block[at]) < PREFIX_7:  # short, and not Huffman-coded
                at += 1
                name = block[at : at + length]
                at += length
            else:
                name, at = string(block, at)
            if (length := block[at]) < PREFIX_7:
                at += 1
                value = block[at : at + length]
                at += length
            else:
                value, at = string(block, at)
            field = (name, value)
            fields.append(field)
            if first >= INCREMENTAL:
                self._insert(field)
        if at > end:  # a string was said to be longer than what is left
            raise IndexError
        return fields

    def _resize(self, block: bytes, at: int) -> int:
        """Does the table size update whose first octet is before `at`; returns its end."""
        size = block[at - 1] & PREFIX_5
        if size == PREFIX_5:
            size, at = integer(block, at, PREFIX_5)
        if size > self._limit_bytes:
            raise HpackError(f"a table size must be at most {self._limit_bytes}, not {size}")
        if self._shrink_to is not None and size <= self._shrink_to:
            self._shrink_to = None
        self._table_bytes_max = size
        self._evict()
        return at

    def _insert(self, field: Header) -> None:
        size = _field_bytes(field)
        self._table.insert(_FIRST_DYNAMIC, field)
        self._table_bytes += size
        self._field_bytes_max = max(size, self._field_bytes_max)
        self._evict()

    def _evict(self) -> None:
        """Drops the oldest fields: all of them, if the newest alone is larger than the table."""
        self._cached.clear()
        while self._table_bytes > self._table_bytes_max:
            self._table_bytes -= _field_bytes(self._table.pop())

    def _check_size(self, fields: Sequence[Header]) -> None:
        size = _list_bytes(fields)
        if size > self._list_bytes_max:
            raise HeaderListTooLarge(
                f"headers may take {self._list_bytes_max} bytes, with 32 for each field; not {size}"
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
            _keep(self._cached, key, block)
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
        size = _field_bytes(field)
        if size > self._table_bytes_max // 2:
            return False
        self._table.insert(0, field)
        self._table_bytes += size
        self._evict(self._table_bytes_max)
        return True

    def _evict(self, table_bytes_max: int) -> None:
        """Drops the oldest fields; every other has a new index."""
        while self._table_bytes > table_bytes_max:
            self._table_bytes -= _field_bytes(self._table.pop())
        dynamic = {
            field: encoded_integer(INDEXED, PREFIX_7, index)
            for index, field in enumerate(self._table, _FIRST_DYNAMIC)
        }
        self._codes = _STATIC_CODES | dynamic
        self._cached.clear()

    def _size_updates(self) -> bytes:
        updates = [encoded_integer(SIZE_UPDATE, PREFIX_5, size) for size in self._updates]
        self._updates = ()
        return b"".join(updates)
