"""What makes a head or trailers well-formed (RFC 9113, 8.2 and 8.3).

The pseudo-headers are looked at together, every other field alone; what was found right is
remembered, for most of a head is the same in call after call.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from server.transport.http2.errors import ErrorCode, StreamFault
from server.transport.http2.hpack.table import Header

NO_LENGTH = -1  # the head says no content-length
SWITCHING_PROTOCOLS = 101
FINAL_STATUS_MIN = 200
_NO_CONTENT = (b"204", b"304")  # their content-length is not that of what follows

# Targets: a method of ours on a host that we are called by; 4 MB if they are as long as may be.
# Fields: those of some hundred clients.
_TARGETS_REMEMBERED = 256
_NAMES_REMEMBERED = 256
FIELDS_REMEMBERED = 1_024
_FIELD_BYTES_REMEMBERED = 256
# As many as blocks that a decoder keeps.
TUPLES_REMEMBERED = 64

_PSEUDO_OF_REQUEST = (b":method", b":scheme", b":path", b":authority")
_CONNECTION_SPECIFIC = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
# Their values have to agree with something outside the field, so each is looked at again.
_TO_COMPARE = (b"content-length", b"host")

# Well-formed names whose values never repeat: to remember those would drive out all others.
_NEW_EACH_CALL = frozenset((b"grpc-timeout", b"traceparent", b"tracestate", b"x-request-id"))

_NAME = re.compile(rb"[!-9;-@\[-~]+")  # visible, without capitals and colon
_VALUE = re.compile(rb"(?:[^\0\r\n\t ](?:[^\0\r\n]*[^\0\r\n\t ])?)?")
_VISIBLE = bytes(range(0x21, 0x7F))  # of these alone any value may consist
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*")
_STATUS = re.compile(rb"[1-5][0-9][0-9]")
_LENGTH = re.compile(rb"[0-9]{1,18}")

_sound: set[Header] = set()

Said = TypeVar("Said")


class ResponseHead(NamedTuple):
    """What a connection needs of the head of a response."""

    status: int
    content_length: int


class OncePerTuple(Generic[Said]):
    """Looks once at a tuple that repeats: a decoder gives the same again for the same block."""

    def __init__(self, look: Callable[[tuple[Header, ...]], Said]) -> None:
        self._look = look
        # By identity, which stays while the tuple is kept here.
        self._seen: dict[int, tuple[tuple[Header, ...], Said]] = {}
        self._last: tuple[Header, ...] | None = None

    def __call__(self, headers: tuple[Header, ...]) -> Said:
        seen = self._seen.get(id(headers))
        if seen is not None:
            return seen[1]
        said = self._look(headers)
        if headers is self._last:  # it does repeat
            if len(self._seen) >= TUPLES_REMEMBERED:
                self._seen.clear()
            self._seen[id(headers)] = headers, said
        self._last = headers
        return said


def check_request(headers: tuple[Header, ...]) -> int:
    """The content-length; raises StreamFault if the request is malformed."""
    target = _target(headers[: len(_PSEUDO_OF_REQUEST)])
    to_compare = _check_fields(headers[target.fields :])
    if not to_compare:
        return NO_LENGTH
    for name, value in to_compare:
        if name == b"host" and target.authority and value.lower() != target.authority.lower():
            raise _malformed("host and :authority differ")
    return _content_length(to_compare)


def check_response(headers: tuple[Header, ...]) -> ResponseHead:
    """Status and content-length; raises StreamFault if the response is malformed."""
    name, status = headers[0] if headers else (b"", b"")
    if name != b":status" or not _STATUS.fullmatch(status):
        raise _malformed("a response begins with a :status of three digits")
    to_compare = _check_fields(headers[1:])
    length = NO_LENGTH if status in _NO_CONTENT else _content_length(to_compare)
    return ResponseHead(int(status), length)


def check_trailers(headers: tuple[Header, ...]) -> None:
    """Raises StreamFault if the trailers are malformed; they have no pseudo-header."""
    _check_fields(headers)


class _Target(NamedTuple):
    fields: int  # how many they were
    authority: bytes


@lru_cache(_TARGETS_REMEMBERED)
def _target(headers: tuple[Header, ...]) -> _Target:
    """Reads the pseudo-headers in front, which are all that may be."""
    pseudo: dict[bytes, bytes] = {}
    for name, value in headers:
        if not name.startswith(b":"):
            break
        if name not in _PSEUDO_OF_REQUEST or name in pseudo or not _VALUE.fullmatch(value):
            raise _malformed("a pseudo-header is unknown, repeated, or has characters it may not")
        pseudo[name] = value
    method, authority = pseudo.get(b":method", b""), pseudo.get(b":authority", b"")
    if not _TOKEN.fullmatch(method) or b"@" in authority:
        raise _malformed(":method is no token, or :authority names a user")
    if method == b"CONNECT":
        _check_connect(pseudo)
    else:
        _check_resource(pseudo, method)
    return _Target(len(pseudo), authority)


def _check_resource(pseudo: Mapping[bytes, bytes], method: bytes) -> None:
    path = pseudo.get(b":path", b"")
    if not _SCHEME.fullmatch(pseudo.get(b":scheme", b"")):
        raise _malformed(":scheme is missing or none")
    if not path.startswith(b"/") and not (method == b"OPTIONS" and path == b"*"):
        raise _malformed(":path is missing or does not begin with a slash")


def _check_connect(pseudo: Mapping[bytes, bytes]) -> None:
    if not pseudo.get(b":authority") or b":scheme" in pseudo or b":path" in pseudo:
        raise _malformed("CONNECT names an :authority, and no :scheme or :path")


def _check_fields(fields: Iterable[Header]) -> list[Header]:
    """Looks at regular fields; returns those that have to be compared with something else."""
    to_compare: list[Header] = []
    for field in fields:
        if field in _sound:
            continue
        name, value = field
        if value.translate(None, _VISIBLE) and not _VALUE.fullmatch(_as_meant(name, value)):
            raise _malformed("a value has NUL, CR or LF in it, or a space at an end")
        if name in _NEW_EACH_CALL:
            continue
        _check_name(name, value)
        if name in _TO_COMPARE:
            to_compare.append(field)
        elif len(name) + len(value) <= _FIELD_BYTES_REMEMBERED:
            _remember(field)
    return to_compare


def _as_meant(name: bytes, value: bytes) -> bytes:
    """grpcio ends some messages in a space, which must not cost a call its status."""
    return value.strip(b" ") if name == b"grpc-message" else value


def _check_name(name: bytes, value: bytes) -> None:
    if fault := _fault_of_name(name):
        raise _malformed(fault)
    if name == b"te" and value != b"trailers":
        raise _malformed("te says trailers, or nothing")


def _remember(field: Header) -> None:
    if len(_sound) >= FIELDS_REMEMBERED:
        _sound.clear()
    _sound.add(field)


@lru_cache(_NAMES_REMEMBERED)
def _fault_of_name(name: bytes) -> str:
    if name.startswith(b":"):
        return "a pseudo-header is unknown here, repeated, or behind a regular field"
    if not _NAME.fullmatch(name):
        return "a name has a capital or another character that it may not have"
    if name in _CONNECTION_SPECIFIC:
        return f"{name.decode()} belongs to HTTP/1.1"
    return ""


def _content_length(fields: Iterable[Header]) -> int:
    said = {value for name, value in fields if name == b"content-length"}
    if not said:
        return NO_LENGTH
    if len(said) > 1 or not _LENGTH.fullmatch(value := said.pop()):
        raise _malformed("content-length is no number, or said twice, differently")
    return int(value)


def _malformed(reason: str) -> StreamFault:
    return StreamFault(ErrorCode.PROTOCOL_ERROR, reason)
