"""How a gRPC call ends: a code, a message, and how both are written in trailers."""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from server.status_code import Code
from server.transport.http2.hpack.table import Header


class CallRefused(Exception):
    """The transport itself ends the call: what the peer sent is no good, or too much."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# The same objects each time, so that the encoder knows them again.
OK_TRAILERS: tuple[Header, ...] = ((b"grpc-status", b"0"),)

# All that may stand in grpc-message as it is: printable ASCII without the percent sign.
_COMMON = re.compile(r"[ -$&-~]*")


# Who is refused is refused with the words of others: made once, they cost a third. Of a message of
# 1 KiB, with details as long, 4 KB each.
FAILURES_KEPT_MAX = 256


def trailers(code: int, message: str = "", metadata: tuple[Header, ...] = ()) -> tuple[Header, ...]:
    """The trailers that end a call so, with its metadata already in headers."""
    if not (code or message or metadata):
        return OK_TRAILERS
    status = (b"grpc-status", b"%d" % code)
    if not message:
        return (status, *metadata)
    return (status, (b"grpc-message", percent_encoded(message)), *metadata)


@lru_cache(maxsize=FAILURES_KEPT_MAX)
def failure_trailers(
    code: int, message: str, metadata: tuple[Header, ...] = ()
) -> tuple[Header, ...]:
    """The same, kept for calls that end alike; no answer ends so."""
    return trailers(code, message, metadata)


def percent_encoded(message: str) -> bytes:
    """A message as grpc-message carries it; spaces at its ends too, which HTTP/2 forbids bare."""
    if _COMMON.fullmatch(message) and not (message.startswith(" ") or message.endswith(" ")):
        return message.encode()
    data = message.encode(errors="replace")
    inner = data.strip(b" ")
    before, after = data.partition(inner)[::2] if inner else (data, b"")
    return b"".join(
        (
            b"%20" * len(before),
            *(b"%c" % byte if _is_plain(byte) else b"%%%02X" % byte for byte in inner),
            b"%20" * len(after),
        )
    )


def percent_decoded(value: bytes) -> str:
    """The message of a grpc-message; what is no encoding stays as it is."""
    return unquote_to_bytes(value).decode(errors="replace")


def _is_plain(byte: int) -> bool:
    return 0x20 <= byte <= 0x7E and byte != 0x25  # noqa: PLR2004 - the percent sign
