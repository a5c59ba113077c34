"""What was learned, as a file: gzip of lines of JSON, so that neither side holds it all as text.

The first line says whose it is and when it was written; it is a gzip of its own, so that what was
learned can be compared. Each line that follows is [part, field, value]; a long list comes in
several lines, one behind the other.
"""

import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

FILE_NAME = "state.jsonl.gz"
# Raised with each change that an older Turnout could not read.
SCHEMA = 1
# 10,000 cells, 20 models and 200,000 reported decisions take 8.4 MB, of 27 MB of text.
STATE_BYTES_MAX = 32 * 2**20
TEXT_BYTES_MAX = 128 * 2**20
# A millisecond to write or read: whoever else wants the interpreter waits no longer.
ROWS_AT_ONCE = 500
# 16 KB a row: names of 63 characters, payers of many budgets, counts in every bucket of latency.
LINE_BYTES_MAX = 8 * 2**20

# Of a clock: 30,000 years.
_TIME_S_MAX = 1e12
# An eighth of the time of the default level, and a fifth more bytes.
_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS
_READ_AT_ONCE = 2**18

# By part and field. Values are what JSON has; where it is long, anything that gives its items.
Plain = Mapping[str, Mapping[str, Any]]


class StateInvalid(ValueError):
    """A file is not one that this Turnout can take up; says why."""


class StateTooLarge(Exception):
    """More was learned than a file may hold; says how much."""


class Kept(NamedTuple):
    """What a file holds."""

    written_s: float
    version: str  # of the Turnout that wrote it
    plain: dict[str, dict[str, Any]]


class Packed(NamedTuple):
    """The content of a file, in two pieces."""

    head: bytes
    body: bytes  # the same for the same plain


def packed(
    plain: Plain, *, written_s: float, version: str, text_bytes_max: int = TEXT_BYTES_MAX
) -> Packed:
    """Takes a second where much was learned: do it beside the loop. Raises StateTooLarge."""
    head = {"turnout_state": SCHEMA, "version": version, "written_s": written_s}
    return Packed(_compressed([head], text_bytes_max), _compressed(_items(plain), text_bytes_max))


def _compressed(items: Iterable[object], text_bytes_max: int) -> bytes:
    compressor, pieces, total = zlib.compressobj(_LEVEL, wbits=_GZIP), [], 0
    for item in items:
        line = _line(item)
        total += len(line)
        if total > text_bytes_max:
            raise StateTooLarge(f"more than {text_bytes_max:,} bytes of text")
        pieces.append(compressor.compress(line))
    content = b"".join((*pieces, compressor.flush()))
    if len(content) > STATE_BYTES_MAX:
        raise StateTooLarge(f"{len(content):,} bytes are more than {STATE_BYTES_MAX:,}")
    return content


def unpacked(content: bytes) -> Kept:
    """Raises StateInvalid."""
    lines = map(_value, _lines(content))
    kept = _kept(next(lines, None))
    for item in lines:
        _add(kept.plain, item)
    return kept


def _items(plain: Plain) -> Iterator[object]:
    for part, fields in plain.items():
        for field, value in fields.items():
            if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
                yield part, field, value
                continue
            rows = iter(value)
            yield part, field, list(itertools.islice(rows, ROWS_AT_ONCE))
            while more := list(itertools.islice(rows, ROWS_AT_ONCE)):
                yield part, field, more


def _line(item: object) -> bytes:
    return json.dumps(item, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _lines(content: bytes) -> Iterator[bytes]:
    """Each without its end; of a file that was cut off or has more behind it, none are believed."""
    total, begun = 0, b""
    for text in _texts(content):
        total += len(text)
        *whole, begun = (begun + text).split(b"\n")
        if total > TEXT_BYTES_MAX or max(map(len, (*whole, begun))) > LINE_BYTES_MAX:
            raise StateInvalid("it is larger than any that we write")
        yield from whole
    if begun:
        raise StateInvalid("it has more behind its end")


def _texts(content: bytes) -> Iterator[bytes]:
    """Of the head and the body."""
    for _ in Packed._fields:
        decompressor, rest = zlib.decompressobj(wbits=_GZIP), content
        while not decompressor.eof:
            try:
                text = decompressor.decompress(rest, _READ_AT_ONCE)
            except zlib.error as error:
                raise StateInvalid(f"it is no gzip of ours: {error}") from None
            if not text and not decompressor.eof:
                raise StateInvalid("it ends too early")
            rest = decompressor.unconsumed_tail
            yield text
        content = decompressor.unused_data
    if content:
        raise StateInvalid("it has more behind its end")


def _value(line: bytes) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise StateInvalid(f"a line is no JSON of ours: {error}") from None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _kept(head: Any) -> Kept:
    if not isinstance(head, dict) or "turnout_state" not in head:
        raise StateInvalid("it is not Turnout's")
    if head["turnout_state"] != SCHEMA:
        raise StateInvalid(
            f"its schema is {head['turnout_state']!r:.20}, this Turnout has {SCHEMA}"
        )
    written_s = head.get("written_s")
    if not isinstance(written_s, int | float) or abs(written_s) > _TIME_S_MAX:
        raise StateInvalid("it does not say when it was written")
    return Kept(float(written_s), str(head.get("version", ""))[:64], {})


def _add(plain: dict[str, dict[str, Any]], item: Any) -> None:
    match item:
        case [str(part), str(field), value]:
            fields = plain.setdefault(part, {})
        case _:
            raise StateInvalid("a line has no part, field and value")
    if field not in fields:
        fields[field] = value
    elif isinstance(fields[field], list) and isinstance(value, list):
        fields[field].extend(value)
    else:
        raise StateInvalid(f"{part:.20}.{field:.20} comes twice")
