"""Reads the top level of a serialised inference.ModelInferRequest; tensors stay unread."""

from typing import NamedTuple

from server.routing.errors import InvalidRequest, PayloadMalformed

_NAME, _VERSION, _PARAMETERS = 1, 2, 4
_FIELD_MAX = 7  # raw_input_contents
_BYTES = 2  # every field of the message is length-delimited
_VARINT_BYTES_MAX = 10
# More than any real request has; a message of empty fields would hold the loop for long.
FIELDS_MAX = 10_000


class OipHead(NamedTuple):
    """What routing reads of an OIP request."""

    model_name: str
    model_version: str


def read_head(request: bytes, *, field: str) -> OipHead:
    """The head of a request; raises PayloadMalformed, or InvalidRequest for a sequence.

    `field` is the path to name in errors; empty where the request is the whole message.
    """
    texts = {_NAME: "", _VERSION: ""}
    try:
        at = fields = 0
        while at < len(request):
            fields += 1
            if fields > FIELDS_MAX:
                raise PayloadMalformed(f"more than {FIELDS_MAX} fields", field=field)
            number, start, at = _field(request, at)
            if number in texts:
                texts[number] = request[start:at].decode()
            elif number == _PARAMETERS and _is_sequence(request[start:at]):
                raise InvalidRequest(
                    "sequences are not routed yet, for they need one endpoint: "
                    "leave sequence_id out or call the endpoint itself",
                    field=f"{field}.parameters" if field else "parameters",
                )
    except (IndexError, ValueError):
        raise PayloadMalformed(
            "not a serialised inference.ModelInferRequest: send its SerializeToString()",
            field=field,
        ) from None
    return OipHead(texts[_NAME], texts[_VERSION])


def _field(data: bytes, at: int) -> tuple[int, int, int]:
    """The number of the field at `at`, where its content starts, and where it ends."""
    tag, at = varint(data, at)
    number, wire_type = tag >> 3, tag & 7
    if not 1 <= number <= _FIELD_MAX or wire_type != _BYTES:
        raise ValueError
    length, start = varint(data, at)
    if start + length > len(data):
        raise IndexError
    return number, start, start + length


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends; raises ValueError or IndexError without one."""
    value = shift = 0
    for _ in range(_VARINT_BYTES_MAX):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if not byte & 0x80:
            return value, at
        shift += 7
    raise ValueError


def _is_sequence(entry: bytes) -> bool:
    """A map entry whose key is sequence_id."""
    return entry.startswith(b"\x0a\x0bsequence_id")
