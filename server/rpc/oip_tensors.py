"""Reads what a serialised inference.ModelInferRequest says of its tensors, and the text in them.

Most requests are forwarded unread: this is for rules that ask for it, and for models of text.
"""

from dataclasses import dataclass

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.routing.query import Tensor
from server.rpc.long_text import LongText, decode_text
from server.rpc.oip_wire import (
    INPUTS,
    NAME_BYTES_MAX,
    RAW_CONTENTS,
    OipRequest,
    Span,
    no_oip_request,
    within,
)
from server.rpc.wire import (
    VARINT,
    Bytes,
    Malformed,
    Steps,
    TooManySteps,
    fields,
    tag,
    varints,
)

# A request of text says so early: its datatype stands before any content.
_LOOKED_THROUGH_BYTES = 4_096
_SAYS_BYTES = b"\x12\x05BYTES"  # field 2, of 5 bytes

_NAME, _DATATYPE, _CONTENTS = (tag(number) for number in (1, 2, 5))  # of a tensor
_SHAPES = frozenset({tag(3), tag(3, VARINT)})  # packed, or size by size
_STRINGS = tag(8)  # of its contents
_RAW_LENGTH_BYTES = 4
_ELEMENTS_MAX = 2**31 - 1
_NOTHING = LongText("", 0)


class _LongName(Malformed):
    """A name or a datatype has more than may be looked at."""


@dataclass(slots=True)
class _Head:
    """What a tensor says of itself."""

    name: str = ""
    datatype: str = ""
    elements: int = 1
    contents: Span | None = None


def read_tensors(request: OipRequest, *, field: str) -> tuple[Tensor, ...]:
    """The heads of the input tensors; raises PayloadMalformed, or InvalidRequest for a long name.

    `field` is the path of `request`.
    """
    steps = Steps(request.steps_left)
    try:
        heads = [_head(request.data, span, steps) for span in request.parts[INPUTS]]
    except TooManySteps:
        raise PayloadMalformed(
            "too many fields, all tensors together: send fewer", field=within(field, "inputs")
        ) from None
    except _LongName:
        raise InvalidRequest(
            f"a name or datatype is longer than {NAME_BYTES_MAX} bytes: shorten it",
            field=within(field, "inputs"),
        ) from None
    except (Malformed, UnicodeDecodeError):
        raise no_oip_request(within(field, "inputs")) from None
    return tuple([Tensor(head.name, head.datatype, head.elements) for head in heads])


def read_text(request: OipRequest) -> LongText:
    """The first string of the first tensor of strings; empty where there is none."""
    data = request.data
    if bytes(data[:_LOOKED_THROUGH_BYTES]).find(_SAYS_BYTES) < 0:
        return _NOTHING
    try:
        span = _span_of_text(request, Steps(request.steps_left))
        return _NOTHING if span is None else decode_text(memoryview(data)[slice(*span)])
    except (Malformed, TooManySteps, UnicodeDecodeError):
        return _NOTHING


def _span_of_text(request: OipRequest, steps: Steps) -> Span | None:
    data = request.data
    for place, span in enumerate(request.parts[INPUTS]):
        head = _head(data, span, steps)
        if head.datatype != "BYTES":
            continue
        if head.contents is not None:
            for key, start, end in fields(data, *head.contents, steps):
                if key == _STRINGS:
                    return start, end
        if place < len(request.parts[RAW_CONTENTS]):
            return _first_string(data, request.parts[RAW_CONTENTS][place])
        return None
    return None


def _first_string(data: Bytes, raw: Span) -> Span | None:
    """The first of strings that each stand behind their length."""
    start, end = raw[0] + _RAW_LENGTH_BYTES, raw[1]
    length = int.from_bytes(data[raw[0] : min(start, end)], "little")
    return (start, start + length) if start + length <= end else None


def _head(data: Bytes, span: Span, steps: Steps) -> _Head:
    """Reads the head of a tensor; raises Malformed, UnicodeDecodeError or TooManySteps."""
    head = _Head()
    for key, start, end in fields(data, *span, steps):
        if key == _NAME:
            head.name = _name(data, start, end)
        elif key == _DATATYPE:
            head.datatype = _name(data, start, end)
        elif key in _SHAPES:
            head.elements = _multiplied(head.elements, data, start, end, steps)
        elif key == _CONTENTS and head.contents is None:
            head.contents = start, end
    return head


def _multiplied(elements: int, data: Bytes, at: int, end: int, steps: Steps) -> int:
    """The elements, multiplied by each size of a shape."""
    for size in varints(data, at, end, steps):
        if size <= _ELEMENTS_MAX:  # -1, in 64 bits, says that a size is not known
            elements = min(elements * size, _ELEMENTS_MAX)
    return elements


def _name(data: Bytes, start: int, end: int) -> str:
    if end - start > NAME_BYTES_MAX:
        raise _LongName
    return str(data[start:end], "utf-8")
