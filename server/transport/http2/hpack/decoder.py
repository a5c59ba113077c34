"""Decodes header blocks (RFC 7541), with the table of one direction of a connection.

Time and memory of a block are linear in its octets, whatever they say: a reference copies nothing,
and a table holds at most 4,096 bytes unless its owner says otherwise.
"""

from collections.abc import Sequence

from server.transport.http2.hpack.huffman import HuffmanError
from server.transport.http2.hpack.primitives import (
    INCREMENTAL,
    INDEXED,
    PREFIX_4,
    PREFIX_5,
    PREFIX_6,
    PREFIX_7,
    SIZE_UPDATE,
    HpackError,
    integer,
    string,
)
from server.transport.http2.hpack.static_table import FIRST_DYNAMIC, STATIC_TABLE
from server.transport.http2.hpack.table import (
    CACHED_BLOCK_BYTES_MAX,
    TABLE_BYTES,
    Header,
    field_bytes,
    keep,
    list_bytes,
)

HEADER_LIST_BYTES_MAX = 16_384
_ALL_ONES = 0xFF
# Each is a field of one of the two tables.
_INDICES = bytes(range(INDEXED + 1, _ALL_ONES))


class HeaderListTooLarge(Exception):
    """The block was decoded, so the table is right, but its headers are more than we take."""


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
        self._field_bytes_max = max(map(field_bytes, STATIC_TABLE))
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
        if 0 < len(run) <= CACHED_BLOCK_BYTES_MAX and list_bytes(fields) <= self._list_bytes_max:
            keep(self._cached, run, fields)
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
        size = field_bytes(field)
        self._table.insert(FIRST_DYNAMIC, field)
        self._table_bytes += size
        self._field_bytes_max = max(size, self._field_bytes_max)
        self._evict()

    def _evict(self) -> None:
        """Drops the oldest fields: all of them, if the newest alone is larger than the table."""
        self._cached.clear()
        while self._table_bytes > self._table_bytes_max:
            self._table_bytes -= field_bytes(self._table.pop())

    def _check_size(self, fields: Sequence[Header]) -> None:
        size = list_bytes(fields)
        if size > self._list_bytes_max:
            raise HeaderListTooLarge(
                f"headers may take {self._list_bytes_max} bytes, with 32 for each field; not {size}"
            )
