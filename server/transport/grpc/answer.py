"""What the headers of an answer say: whether it is gRPC, and how the call ended."""

from collections.abc import Mapping
from functools import lru_cache

from server.status_code import Code
from server.transport.grpc.metadata import Metadata, is_grpc, read_metadata
from server.transport.grpc.status import percent_decoded
from server.transport.http2.errors import ErrorCode
from server.transport.http2.hpack.table import Header

# Nearly all heads and trailers of a connection are equal: they are read once.
_REMEMBERED = 64
_CODE_DIGITS_MAX = 9

# An answer that is no gRPC comes from a proxy or another kind of server: gRPC's own table.
_OF_HTTP: Mapping[bytes, Code] = {
    b"400": Code.INTERNAL,
    b"401": Code.UNAUTHENTICATED,
    b"403": Code.PERMISSION_DENIED,
    b"404": Code.UNIMPLEMENTED,
    b"429": Code.UNAVAILABLE,
    b"502": Code.UNAVAILABLE,
    b"503": Code.UNAVAILABLE,
    b"504": Code.UNAVAILABLE,
}
# All other resets are INTERNAL: somebody broke HTTP/2. The table is gRPC's.
_OF_RESET: Mapping[int, Code] = {
    ErrorCode.STREAM_CLOSED: Code.UNKNOWN,
    ErrorCode.REFUSED_STREAM: Code.UNAVAILABLE,
    ErrorCode.CANCEL: Code.CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
    ErrorCode.HTTP_1_1_REQUIRED: Code.UNKNOWN,
}
_RESETS = frozenset(map(int, ErrorCode))


class CallFailed(Exception):
    """A call ended with another status than OK: the server's, or our own about it."""

    def __init__(self, code: Code, message: str, metadata: Metadata = ()) -> None:
        super().__init__(message)
        self.code = code
        self.metadata = metadata  # that came with the status


class NeverSent(CallFailed):
    """The call found no connection, so nothing of it has left."""


@lru_cache(_REMEMBERED)
def accepts_gzip(head: tuple[Header, ...]) -> bool:
    """Whether messages behind this head may be compressed; raises CallFailed if it is no gRPC."""
    fields = dict(head)
    status, content_type = fields.get(b":status", b""), fields.get(b"content-type", b"")
    if status != b"200":
        code = _OF_HTTP.get(status, Code.UNKNOWN)
        raise CallFailed(code, f"the answer is HTTP {status.decode('latin-1')}, not gRPC")
    if not is_grpc(content_type):
        kind = content_type.decode("latin-1")
        raise CallFailed(Code.UNKNOWN, f"the answer's content-type is {kind!r}, not gRPC")
    encoding = fields.get(b"grpc-encoding", b"identity")
    if encoding not in (b"identity", b"gzip"):
        name = encoding.decode("latin-1")
        raise CallFailed(Code.INTERNAL, f"the answer's grpc-encoding is {name!r}: we take gzip")
    return encoding == b"gzip"


@lru_cache(_REMEMBERED)
def check_end(trailers: tuple[Header, ...]) -> None:
    """Raises CallFailed unless the call ended well."""
    fields = dict(trailers)
    code = _code(fields.get(b"grpc-status"))
    if code is not Code.OK:
        message = percent_decoded(fields.get(b"grpc-message", b""))
        raise CallFailed(code, message, read_metadata(trailers))


def says_status(headers: tuple[Header, ...]) -> bool:
    """A head that is all of the answer says how the call ended, whatever HTTP says."""
    return any(name == b"grpc-status" for name, _ in headers)


def reset_failure(code: int) -> CallFailed:
    """What RST_STREAM with this code says of a call."""
    name = ErrorCode(code).name if code in _RESETS else f"the unknown code {code}"
    return CallFailed(_OF_RESET.get(code, Code.INTERNAL), f"the stream was reset with {name}")


def _code(status: bytes | None) -> Code:
    if status is None:
        raise CallFailed(Code.UNKNOWN, "the answer ended without a grpc-status")
    if not status.isdigit() or len(status) > _CODE_DIGITS_MAX:
        raise CallFailed(Code.UNKNOWN, "the answer's grpc-status is no number")
    try:
        return Code(int(status))
    except ValueError:
        return Code.UNKNOWN
