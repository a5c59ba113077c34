"""Metadata of a call, to and from headers; and its timeout, which travels as one."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from functools import lru_cache

from server.transport.http2.hpack.table import Header

Metadata = tuple[tuple[str, str | bytes], ...]

CONTENT_TYPE = b"application/grpc"

# Headers that belong to HTTP/2 or to gRPC, and say nothing to a servicer or a caller.
_RESERVED = frozenset({b"te", b"content-type", b"host"})
# Forbidden in HTTP/2, whoever names them.
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
# What gRPC writes itself.
_OURS = frozenset({"grpc-status", "grpc-message", "grpc-encoding", "grpc-timeout"})
# As wide as HTTP, wider than gRPC: whatever came in may be sent back.
_NAME = re.compile(r"[0-9a-z!#$%&'*+.^_`|~-]+")
_TEXT = re.compile(r"[\t -~\x80-\xff]*")

# Those that callers, services and endpoints of one process send: some dozens.
_NAMES_REMEMBERED = 256

# Of details of failures, which are alike; half a KB each, and at most 3 KB.
BINARY_KEPT_MAX = 256
_BINARY_KEPT_BYTES_MAX = 1_024

_UNITS_S = {72: 3_600.0, 77: 60.0, 83: 1.0, 109: 1e-3, 117: 1e-6, 110: 1e-9}  # H M S m u n
_TIMEOUT_DIGITS_MAX = 8
_LARGEST = 10**_TIMEOUT_DIGITS_MAX - 1


def is_grpc(content_type: bytes) -> bool:
    """application/grpc, perhaps with a format behind it; application/grpc-web is something else."""
    if content_type == CONTENT_TYPE:  # as nearly always
        return True
    kind = content_type.lower()
    return kind == CONTENT_TYPE or kind.startswith((CONTENT_TYPE + b"+", CONTENT_TYPE + b";"))


def read_metadata(headers: Iterable[Header]) -> Metadata:
    """What the application may see of a head or of trailers, in order.

    A binary value that is no base64 is left out: it must not fail the call.
    """
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in headers:
        key = _key(name)
        if not key:
            continue
        if key.endswith("-bin"):
            metadata += [(key, data) for data in _binaries(value)]
        else:
            metadata.append((key, value.decode("latin-1")))
    return tuple(metadata)


def metadata_headers(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Header, ...]:
    """Metadata as it is sent; raises ValueError that names what cannot be."""
    return tuple([_header(key, value) for key, value in metadata])


def read_timeout_s(value: bytes) -> float:
    """Seconds of a grpc-timeout; raises ValueError."""
    digits, unit_s = value[:-1], _UNITS_S.get(value[-1]) if value else None
    if unit_s is None or not digits.isdigit() or len(digits) > _TIMEOUT_DIGITS_MAX:
        raise ValueError("grpc-timeout has to be up to 8 digits and one of H, M, S, m, u, n")
    return int(digits) * unit_s


def timeout_header(timeout_s: float) -> Header:
    """The grpc-timeout that says this, as finely as 8 digits can; at least a nanosecond."""
    for unit, per_s in ((b"n", 1e9), (b"u", 1e6), (b"m", 1e3), (b"S", 1.0)):
        if (count := int(timeout_s * per_s)) <= _LARGEST:
            return (b"grpc-timeout", b"%d%s" % (max(count, 1), unit))
    return (b"grpc-timeout", b"%dH" % min(int(timeout_s / 3_600), _LARGEST))


def _binary(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


kept_binary = lru_cache(maxsize=BINARY_KEPT_MAX)(_binary)


def _header(key: str, value: str | bytes) -> Header:
    name = _name(key)
    if name.endswith(b"-bin"):
        data = value.encode() if isinstance(value, str) else value
        encode = kept_binary if len(data) <= _BINARY_KEPT_BYTES_MAX else _binary
        return name, encode(data)
    text = value if isinstance(value, str) else value.decode("latin-1")
    if not _TEXT.fullmatch(text):
        raise ValueError(f"metadata {key!r} has to be printable; name it {key}-bin for bytes")
    return name, text.strip().encode("latin-1")


@lru_cache(_NAMES_REMEMBERED)
def _name(key: str) -> bytes:
    name = key.encode()
    if not _NAME.fullmatch(key) or key in _HOP or key in _OURS or name in _RESERVED:
        raise ValueError(f"metadata may not be named {key!r}")
    return name


@lru_cache(_NAMES_REMEMBERED)
def _key(name: bytes) -> str:
    """What the application calls it; empty for what says nothing to it."""
    if name.endswith(b"-bin") or not (name.startswith((b":", b"grpc-")) or name in _RESERVED):
        return name.decode("latin-1")
    return ""


def _binaries(value: bytes) -> list[bytes]:
    """The values that were joined by commas, padded or not."""
    found: list[bytes] = []
    for part in value.split(b","):
        bare = part.strip().rstrip(b"=")
        try:
            found.append(b64decode(bare + b"=" * (-len(bare) % 4), validate=True))
        except Base64Error:
            continue
    return found
