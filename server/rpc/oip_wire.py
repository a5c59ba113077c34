"""Reads the top level of a serialised inference.ModelInferRequest; tensors stay unread."""

from dataclasses import dataclass, field
from typing import TypeAlias

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.rpc.wire import Bytes, Malformed, Steps, TooManySteps, fields, tag

# More than any real request has. Reading text and tensors may take only the steps that are left, so
# that the worst request takes some 5 ms in all.
STEPS_MAX = 4_000
# More inputs than models have; further ones are not read.
TENSORS_MAX = 64
# The longest name that is read.
NAME_BYTES_MAX = 256

Span: TypeAlias = tuple[int, int]

_NAME, _VERSION, _PARAMETERS = tag(1), tag(2), tag(4)
INPUTS, RAW_CONTENTS = tag(5), tag(7)
# Every field of the message is length-delimited.
_KNOWN = frozenset(tag(number) for number in range(1, 8))
_SEQUENCE = b"\x0a\x0bsequence_id"  # a map entry with this key


@dataclass(slots=True)
class OipRequest:
    """A request as it lies, and what routing reads of its top level."""

    data: Bytes
    model_name: str = ""
    model_version: str = ""
    # Where inputs and raw contents lie, by tag; at most TENSORS_MAX of each.
    parts: dict[int, list[Span]] = field(default_factory=lambda: {INPUTS: [], RAW_CONTENTS: []})
    steps_left: int = STEPS_MAX


def read_request(data: Bytes, *, field: str) -> OipRequest:
    """Reads the top level; raises PayloadMalformed, or InvalidRequest for a sequence or long name.

    `field` is the path to name in errors; empty where the request is the whole message.
    """
    request, steps = OipRequest(data), Steps(STEPS_MAX)
    try:
        for key, start, end in fields(data, 0, len(data), steps):
            spans = request.parts.get(key)
            if spans is None:
                _take(request, key, start, end, field)
            elif len(spans) < TENSORS_MAX:
                spans.append((start, end))
    except TooManySteps:
        raise PayloadMalformed(f"more than {STEPS_MAX:,} fields", field=field) from None
    except (Malformed, UnicodeDecodeError):
        raise no_oip_request(field) from None
    request.steps_left = steps.left
    return request


def _take(request: OipRequest, key: int, start: int, end: int, field: str) -> None:
    if key == _NAME:
        request.model_name = _name(request.data, start, end, within(field, "model_name"))
    elif key == _VERSION:
        request.model_version = _name(request.data, start, end, within(field, "model_version"))
    elif key == _PARAMETERS:
        _refuse_sequence(request.data[start : min(end, start + len(_SEQUENCE))], field)
    elif key not in _KNOWN:
        raise Malformed


def _refuse_sequence(entry: Bytes, field: str) -> None:
    if entry == _SEQUENCE:
        raise InvalidRequest(
            "sequences are not routed yet, for they need one endpoint: "
            "leave sequence_id out or call the endpoint itself",
            field=within(field, "parameters"),
        )


def _name(data: Bytes, start: int, end: int, field: str) -> str:
    if end - start > NAME_BYTES_MAX:
        raise InvalidRequest(f"longer than {NAME_BYTES_MAX} bytes: shorten it", field=field)
    return str(data[start:end], "utf-8")


def no_oip_request(field: str) -> PayloadMalformed:
    """The error for bytes at this path that cannot be read as a request."""
    return PayloadMalformed(
        "not a serialised inference.ModelInferRequest: send its SerializeToString()", field=field
    )


def within(path: str, name: str) -> str:
    """The path of a field of what `path` names; empty: of the whole message."""
    return f"{path}.{name}" if path else name
