"""The error codes of HTTP/2 (RFC 9113, 7), and the faults of a peer on their way to an answer."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """What RST_STREAM and GOAWAY say; a peer may send numbers that are not here."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class ConnectionFault(Exception):
    """The peer broke a rule that ends the connection, or reached the named limit."""

    def __init__(self, code: ErrorCode, reason: str, limit: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.limit = limit


def limit_reached(reason: str, limit: str) -> ConnectionFault:
    """The peer has reached the limit of this name."""
    return ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, reason, limit)


class StreamFault(Exception):
    """The peer broke a rule that ends one stream."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NoStreamFree(Exception):
    """No stream can be opened now: the peer's limit, a GOAWAY, or every number is used."""
