"""Header blocks and what they are in a message: head, interim head, trailers (RFC 9113, 8.1)."""

from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault
from server.transport.http2.events import Headers, HeadersReceived, TrailersReceived
from server.transport.http2.fields import (
    FINAL_STATUS_MIN,
    SWITCHING_PROTOCOLS,
    OncePerTuple,
    check_request,
    check_response,
    check_trailers,
)
from server.transport.http2.floods import Floods
from server.transport.http2.hpack.decoder import Decoder, HeaderListTooLarge
from server.transport.http2.hpack.primitives import HpackError
from server.transport.http2.stream import Stream
from server.transport.http2.streams import StreamTable


class Heads:
    """Decodes every block, in order, and takes those that belong to an open stream."""

    def __init__(
        self, decoder: Decoder, floods: Floods, streams: StreamTable, *, client: bool
    ) -> None:
        self._decoder = decoder
        self._floods = floods
        self._streams = streams
        self._client = client
        self._request_length = OncePerTuple(check_request)
        self._response_head = OncePerTuple(check_response)

    def decode(self, block: bytes) -> Headers | None:
        """None for more headers than we take: the table is right, and the connection goes on."""
        try:
            return self._decoder.decode(block)
        except HpackError as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, str(error)) from None
        except HeaderListTooLarge:
            return None

    def take(
        self, stream: Stream, headers: Headers, end_stream: bool
    ) -> HeadersReceived | TrailersReceived | None:
        """What the application is told; raises StreamFault for what is malformed."""
        if stream.head_received:
            return self._trailers(stream, headers, end_stream)
        if not self._client:
            stream.content_left = self._request_length(headers)
        elif self._is_interim(stream, headers, end_stream):
            return None
        if end_stream:
            self._streams.peer_ends(stream)
        stream.head_received = True
        return HeadersReceived(stream.id, headers, end_stream)

    def _is_interim(self, stream: Stream, headers: Headers, end_stream: bool) -> bool:
        status, length = self._response_head(headers)
        if status >= FINAL_STATUS_MIN:
            stream.content_left = length
            return False
        if end_stream or status == SWITCHING_PROTOCOLS:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, f"{status} is no response in HTTP/2")
        self._floods.count("ignored_frames")
        return True

    def _trailers(self, stream: Stream, headers: Headers, end_stream: bool) -> TrailersReceived:
        if not end_stream:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "trailers end their stream")
        check_trailers(headers)
        self._streams.peer_ends(stream)
        return TrailersReceived(stream.id, headers)
