"""The life of a stream, as RFC 9113, section 5.1 draws it, and what each frame means on the way.

Nobody may push, so the two reserved states are missing. "Closed" is three states here, for what may
still come differs with who closed it, and how.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from server.transport.http2 import frames
from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault


class State(IntEnum):
    IDLE = 0  # nobody has opened it
    OPEN = 1
    HALF_CLOSED_LOCAL = 2  # we have sent all
    HALF_CLOSED_REMOTE = 3  # the peer has
    CLOSED = 4  # both have, or the peer has reset it
    RESET = 5  # by us: what comes of a peer that has not heard of it is ignored
    SKIPPED = 6  # it was never used, and one with a higher number was opened


# As globals, for the hot path.
IDLE, OPEN, HALF_CLOSED_LOCAL, HALF_CLOSED_REMOTE, CLOSED, RESET, SKIPPED = State

# The arrows of the figure: a head of either end opens an idle stream, a reset closes any.
AFTER_SENT_END: Mapping[State, State] = {OPEN: HALF_CLOSED_LOCAL, HALF_CLOSED_REMOTE: CLOSED}
AFTER_RECEIVED_END: Mapping[State, State] = {OPEN: HALF_CLOSED_REMOTE, HALF_CLOSED_LOCAL: CLOSED}


class Wrong(NamedTuple):
    """A frame that may not come, and what the peer has for it."""

    fault: type[ConnectionFault] | type[StreamFault]
    code: ErrorCode
    reason: str


_UNOPENED = Wrong(
    ConnectionFault, ErrorCode.PROTOCOL_ERROR, "a frame on a stream that was never opened"
)
_BEHIND_END = Wrong(ConnectionFault, ErrorCode.STREAM_CLOSED, "a frame after the end of the stream")

# What may not come in which state. All else may: on a stream that is closed, it is ignored.
WRONG: Mapping[int, Mapping[State, Wrong]] = {
    frames.HEADERS: {
        IDLE: _UNOPENED,  # but for the next request, which opens it
        HALF_CLOSED_REMOTE: Wrong(
            StreamFault, ErrorCode.STREAM_CLOSED, "HEADERS after the end of the stream"
        ),
        CLOSED: _BEHIND_END,
        SKIPPED: Wrong(
            ConnectionFault, ErrorCode.PROTOCOL_ERROR, "the numbers of streams go up only"
        ),
    },
    frames.DATA: {
        IDLE: _UNOPENED,
        HALF_CLOSED_REMOTE: Wrong(
            StreamFault, ErrorCode.STREAM_CLOSED, "DATA after the end of the stream"
        ),
        CLOSED: _BEHIND_END,
        SKIPPED: _BEHIND_END,
    },
    frames.RST_STREAM: {
        IDLE: Wrong(
            ConnectionFault,
            ErrorCode.PROTOCOL_ERROR,
            "RST_STREAM needs a stream that was opened",
        ),
    },
    frames.WINDOW_UPDATE: {
        IDLE: Wrong(
            ConnectionFault,
            ErrorCode.PROTOCOL_ERROR,
            "WINDOW_UPDATE needs a stream that was opened",
        ),
    },
}


def check_may_come(kind: int, state: State) -> None:
    """Raises the fault of a frame that may not come in this state."""
    wrong = WRONG[kind].get(state)
    if wrong is not None:
        raise wrong.fault(wrong.code, wrong.reason)
