"""Refuses bytes that are no message of their kind; names a text in them that is not UTF-8."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from server.routing.errors import PayloadMalformed
from server.rpc.oip_wire import within
from server.rpc.shapes import STEPS_MAX
from server.rpc.wire import Bytes, Malformed, Steps, TooManySteps, fields, tag

_Parsed = TypeVar("_Parsed")


def parsed(data: Bytes, parse: Callable[[Any], _Parsed]) -> _Parsed:
    """What `FromString` of a message makes of the bytes; raises PayloadMalformed."""
    try:
        return parse(data)
    except DecodeError:
        raise malformed(data, parse) from None


def malformed(data: Bytes, parse: Callable[[Any], object]) -> PayloadMalformed:
    """The error for bytes that `FromString` of a message has refused."""
    kind = getattr(parse, "__self__", None)
    field = None if kind is None else _not_utf8(data, kind.DESCRIPTOR)
    if field is None:
        return PayloadMalformed("the request is not a message of this method")
    return PayloadMalformed("not UTF-8: send text", field=field)


def _not_utf8(data: Bytes, message: Descriptor) -> str | None:
    """The path of the first text that is not UTF-8."""
    try:
        texts = _texts(data, (0, len(data)), message, "", Steps(STEPS_MAX))
        return next((path for path, start, end in texts if not _is_utf8(data[start:end])), None)
    except (Malformed, TooManySteps):
        return None


def _texts(
    data: Bytes, span: tuple[int, int], message: Descriptor, path: str, steps: Steps
) -> Iterator[tuple[str, int, int]]:
    """The path of every text, and where it starts and ends."""
    parts = {tag(part.number): part for part in message.fields}
    is_entry = message.GetOptions().map_entry
    for key, start, end in fields(data, *span, steps):
        part = parts.get(key)
        if part is None:
            continue
        # Keys and values of a map are named by the map.
        where = path if is_entry else within(path, part.name)
        if part.message_type is not None:
            yield from _texts(data, (start, end), part.message_type, where, steps)
        elif part.type == FieldDescriptor.TYPE_STRING:
            yield where, start, end


def _is_utf8(data: Bytes) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
