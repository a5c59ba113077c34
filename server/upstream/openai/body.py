"""What goes out: the caller's body byte for byte, but for the keys that are ours to set.

A key that occurs twice is set at each place, so that it does not matter which of them a server
takes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.upstream.openai.top_level import Malformed, Member, members, object_begin

# There are two of them.
OPTIONS_BYTES_MAX = 4_096
_USAGE_WANTED = b'{"include_usage":true}'
# The older name first: a body that has both is judged by its server.
_LIMIT_KEYS = (b"max_tokens", b"max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How the body that goes out differs from the caller's."""

    model: str
    streams: bool
    asks_usage: bool = True  # of a stream
    output_tokens_max: int | None = None
    limit_key: str = "max_completion_tokens"  # what the server calls it where the caller set none


def outgoing(body: bytes, change: Outgoing, found: Sequence[Member]) -> bytes:
    """The body as it is sent; `found` are its members. Raises Malformed."""
    wanted = {b"model": json.dumps(change.model).encode()}
    wanted |= _of_stream(body, found, change.asks_usage) if change.streams else _whole(body, found)
    if change.output_tokens_max is not None:
        wanted |= _limited(body, found, change.output_tokens_max, change.limit_key.encode())
    return _spliced(body, found, wanted)


def _of_stream(body: bytes, found: Sequence[Member], asks_usage: bool) -> Mapping[bytes, bytes]:
    wanted = {b"stream": b"true"}
    if asks_usage:
        options = _last(body, found, b"stream_options")
        if options in (None, b"null"):
            wanted[b"stream_options"] = _USAGE_WANTED
        elif options.startswith(b"{"):
            if len(options) > OPTIONS_BYTES_MAX:
                raise Malformed(f"its stream_options exceed {OPTIONS_BYTES_MAX:,} bytes")
            inner = tuple(members(options))
            wanted[b"stream_options"] = _spliced(options, inner, {b"include_usage": b"true"})
    return wanted


def _whole(body: bytes, found: Sequence[Member]) -> Mapping[bytes, bytes]:
    """Of a caller who asked for a stream where an answer comes whole."""
    if not any(body[one.begin : one.end] == b"true" for one in found if one.key == b"stream"):
        return {}
    # Options of a stream are refused where there is none.
    has_options = _last(body, found, b"stream_options") is not None
    return {b"stream": b"false"} | ({b"stream_options": b"null"} if has_options else {})


def _limited(
    body: bytes, found: Sequence[Member], tokens_max: int, limit_key: bytes
) -> Mapping[bytes, bytes]:
    """What is above the limit, or not said at all, becomes the limit."""
    limit = str(tokens_max).encode()
    given = {key: _last(body, found, key) for key in _LIMIT_KEYS}
    said = {key: value for key, value in given.items() if value not in (None, b"null")}
    if not said:
        return {limit_key: limit}
    return {key: limit for key, value in said.items() if value and _is_above(value, tokens_max)}


def _is_above(value: bytes, tokens_max: int) -> bool:
    try:
        return float(value) > tokens_max
    except ValueError:
        return False  # no number: its server says so


def _last(body: bytes, found: Sequence[Member], key: bytes) -> bytes | None:
    return next((body[one.begin : one.end] for one in reversed(found) if one.key == key), None)


def _spliced(body: bytes, found: Sequence[Member], wanted: Mapping[bytes, bytes]) -> bytes:
    """With these values, and those keys in front that it does not have."""
    at = object_begin(body)
    present = {one.key for one in found}
    added = [b'"%b":%b' % (key, wanted[key]) for key in wanted if key not in present]
    parts = [body[:at], b",".join(added), b"," if added and found else b""]
    for one in found:
        if one.key in wanted:
            parts += body[at : one.begin], wanted[one.key]
            at = one.end
    return b"".join((*parts, body[at:]))
