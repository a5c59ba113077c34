"""The head of a request: which method is called, how, and whether it can be answered at all."""

from collections.abc import Callable
from typing import NamedTuple

from server.status_code import Code
from server.transport.grpc.metadata import CONTENT_TYPE, is_grpc, read_timeout_s
from server.transport.grpc.methods import Method
from server.transport.grpc.status import trailers
from server.transport.http2.events import Headers

Find = Callable[[bytes, Headers], Method | None]

# The same objects each time, so that the encoder knows them again.
RESPONSE_HEAD: Headers = (
    (b":status", b"200"),
    (b"content-type", CONTENT_TYPE),
    (b"grpc-accept-encoding", b"identity,gzip"),
)
GZIP_RESPONSE_HEAD: Headers = (*RESPONSE_HEAD, (b"grpc-encoding", b"gzip"))
_NOT_POST: Headers = ((b":status", b"405"), (b"allow", b"POST"))
_NOT_GRPC: Headers = ((b":status", b"415"),)

# Of a path in a message: enough to see what is wrong with it.
_PATH_BYTES_MAX = 256


class RequestHead(NamedTuple):
    """A request that can be answered, as far as its head goes."""

    headers: Headers
    method: Method
    timeout_s: float | None  # from the moment of its arrival
    gzip: bool  # its messages may be compressed

    @property
    def accepts_gzip(self) -> bool:
        """The caller can read compressed answers."""
        accepted = dict(self.headers).get(b"grpc-accept-encoding", b"")
        return b"gzip" in (encoding.strip() for encoding in accepted.split(b","))


class Refusal(NamedTuple):
    """A request that cannot be answered: this response ends it."""

    response: Headers


def read_head(headers: Headers, find: Find) -> RequestHead | Refusal:
    """Of headers that HTTP/2 has nothing against."""
    fields = dict(headers)
    if fields[b":method"] != b"POST":
        return Refusal(_NOT_POST)
    if not is_grpc(fields.get(b"content-type", b"")):
        return Refusal(_NOT_GRPC)
    path = fields.get(b":path", b"")
    method = find(path, headers)
    if method is None:
        shown = path[:_PATH_BYTES_MAX].decode(errors="replace")
        return refused(Code.UNIMPLEMENTED, f"there is no method {shown}")
    encoding = fields.get(b"grpc-encoding", b"identity")
    if encoding not in (b"identity", b"gzip"):
        return refused(Code.UNIMPLEMENTED, "grpc-encoding has to be identity or gzip")
    try:
        timeout = fields.get(b"grpc-timeout")
        timeout_s = None if timeout is None else read_timeout_s(timeout)
    except ValueError as error:
        return refused(Code.INTERNAL, str(error))
    return RequestHead(headers, method, timeout_s, encoding == b"gzip")


def refused(code: Code, message: str) -> Refusal:
    """By a response that is nothing but trailers."""
    return Refusal((*RESPONSE_HEAD, *trailers(code, message)))
