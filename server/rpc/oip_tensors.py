"""Reads what a serialised inference.ModelInferRequest says of its tensors, and the text in them.

Most requests are forwarded without: this is for rules that ask, and for models of text.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from server.routing.errors import PayloadMalformed
from server.routing.query import Tensor
from server.rpc.oip_wire import FIELDS_MAX, varint

# More than models have; of further ones nothing is known.
TENSORS_MAX = 64
# A text is read from its first string; of a longer one only its ends, the rest is counted.
TEXT_BYTES_MAX = 256 * 2**10
# A request of text says so early: its datatype stands before any content.
_LOOKED_THROUGH_BYTES = 4_096
_SAYS_BYTES = b"\x12\x05BYTES"  # field 2, of 5 bytes
_BYTES_A_TOKEN = 4

_INPUTS, _RAW_CONTENTS = 5, 7  # of the request
_NAME, _DATATYPE, _SHAPE, _CONTENTS = 1, 2, 3, 5  # of a tensor
_STRINGS = 8  # of its contents
_VARINT, _DELIMITED = 0, 2  # wire types
_FIXED_BYTES = {1: 8, 5: 4}
_RAW_LENGTH_BYTES = 4
_ELEMENTS_MAX = 2**31 - 1
_DIMENSIONS_MAX = 32


class TensorText(NamedTuple):
    """The text of a request, and how many tokens more it has than what was read of it."""

    text: str
    more_tokens: int


class _Field(NamedTuple):
    number: int
    wire_type: int
    start: int  # of its content
    end: int


def read_tensors(request: bytes, *, field: str) -> tuple[Tensor, ...]:
    """The heads of the input tensors; raises PayloadMalformed. `field` is the path of `request`."""
    try:
        return tuple(_tensor(request, part) for part in _parts(request, _INPUTS, TENSORS_MAX))
    except (LookupError, ValueError):
        raise PayloadMalformed(
            "not a serialised inference.ModelInferRequest: send its SerializeToString()",
            field=f"{field}.inputs" if field else "inputs",
        ) from None


def read_text(request: bytes) -> TensorText:
    """The first string of the first tensor of strings; empty where there is none."""
    if request.find(_SAYS_BYTES, 0, _LOOKED_THROUGH_BYTES) < 0:
        return TensorText("", 0)
    try:
        return _decoded(memoryview(request)[_span_of_text(request)])
    except (LookupError, ValueError):
        return TensorText("", 0)


def _span_of_text(request: bytes) -> slice:
    """Where it stands; raises ValueError or IndexError where there is none."""
    for i, part in enumerate(_parts(request, _INPUTS, TENSORS_MAX)):
        if _tensor(request, part).datatype != "BYTES":
            continue
        for contents in _parts(request, _CONTENTS, 1, part):
            for string in _parts(request, _STRINGS, 1, contents):
                return slice(string.start, string.end)
        raw = list(_parts(request, _RAW_CONTENTS, i + 1))[i]
        start = raw.start + _RAW_LENGTH_BYTES
        length = int.from_bytes(request[raw.start : start], "little")
        if start + length > raw.end:
            raise ValueError
        return slice(start, start + length)
    raise ValueError


def _decoded(data: memoryview) -> TensorText:
    if len(data) <= TEXT_BYTES_MAX:
        return TensorText(bytes(data).decode(), 0)
    half = TEXT_BYTES_MAX // 2
    # A character that is cut in two is left out.
    first, last = bytes(data[:half]).decode("utf-8", "ignore"), bytes(data[-half:])
    text = f"{first}\n{last.decode('utf-8', 'ignore')}"
    return TensorText(text, (len(data) - TEXT_BYTES_MAX) // _BYTES_A_TOKEN)


def _tensor(request: bytes, part: _Field) -> Tensor:
    texts = {_NAME: "", _DATATYPE: ""}
    elements = 1
    for field in _fields(request, part.start, part.end):
        if field.number in texts and field.wire_type == _DELIMITED:
            texts[field.number] = request[field.start : field.end].decode()
        elif field.number == _SHAPE and field.wire_type == _DELIMITED:
            sizes = islice(_packed(request, field.start, field.end), _DIMENSIONS_MAX)
            elements *= math.prod(map(_known, sizes))
        elif field.number == _SHAPE and field.wire_type == _VARINT:
            elements *= _known(varint(request, field.start)[0])
        elements = min(elements, _ELEMENTS_MAX)
    return Tensor(texts[_NAME], texts[_DATATYPE], elements)


def _known(size: int) -> int:
    # -1, in 64 bits, says that a size is not known.
    return size if size <= _ELEMENTS_MAX else 1


def _packed(data: bytes, at: int, end: int) -> Iterator[int]:
    while at < end:
        value, at = varint(data, at)
        yield value


def _parts(data: bytes, number: int, most: int, within: _Field | None = None) -> Iterator[_Field]:
    """The first fields of this number."""
    start, end = (0, len(data)) if within is None else (within.start, within.end)
    return islice(
        (
            field
            for field in _fields(data, start, end)
            if field.number == number and field.wire_type == _DELIMITED
        ),
        most,
    )


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    for _ in range(FIELDS_MAX):
        if at == end:
            return
        tag, start = varint(data, at)
        wire_type = tag & 7
        if wire_type == _DELIMITED:
            length, start = varint(data, start)
            at = start + length
        elif wire_type == _VARINT:
            _, at = varint(data, start)
        else:
            at = start + _FIXED_BYTES[wire_type]
        if at > end:
            raise IndexError
        yield _Field(tag >> 3, wire_type, start, at)
    raise ValueError
