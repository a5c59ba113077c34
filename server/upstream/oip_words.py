"""What of an OIP endpoint's own words about a failure may be passed on: nothing that was asked."""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from server.dispatch.exchange import Bytes
from server.status_code import Code
from server.upstream.openai.words import COMPARED_BYTES_MAX, fit_among
from server.wire import oip_pb2

# What these say may hold a key, or whose it is: nobody but its owner is told.
_SECRETIVE = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED})

_WITHHELD = "it failed, in words that may quote the request"
# The datatype of texts. A request of megabytes has numbers, or its text begins near its head.
_TEXT, _LOOKED_AT_BYTES = b"BYTES", 2**20


def told_words(code: Code, words: str, request: Bytes) -> str:
    """The words, or ours in their place where they may quote a key or the request's tensors."""
    if code in _SECRETIVE:
        return "it refused the call"
    if len(request) > COMPARED_BYTES_MAX:
        return _WITHHELD if _TEXT in bytes(request[:_LOOKED_AT_BYTES]) else words
    return fit_among(words, _texts(bytes(request))) or _WITHHELD


def _texts(request: bytes) -> Iterator[str]:
    """Whatever in its tensors can be read as text."""
    try:
        asked = oip_pb2.ModelInferRequest.FromString(request)
    except DecodeError:
        return
    for tensor in asked.inputs:
        yield from (text.decode(errors="ignore") for text in tensor.contents.bytes_contents)
    yield from (raw.decode(errors="ignore") for raw in asked.raw_input_contents)
    for parameter in asked.parameters.values():
        yield parameter.string_param
