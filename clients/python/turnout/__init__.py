"""The client library of Turnout, which decides which model answers each inference request."""

from turnout.answers import (
    Answer,
    Cell,
    ChatAnswer,
    Chunk,
    Decision,
    OutcomeResult,
    Reason,
    StreamEnd,
    Target,
    Usage,
)
from turnout.chats import Chat
from turnout.client import AsyncClient, Client
from turnout.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    NotPermitted,
    TurnoutError,
    Unavailable,
    Unreachable,
    UpstreamError,
    UpstreamUnreachable,
    Violation,
)
from turnout.request import Attempt, BatchFields, Outcome
from turnout.retry import RetryPolicy
from turnout.streams import AsyncStream, Stream

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncStream",
    "Attempt",
    "BatchFields",
    "Cell",
    "Chat",
    "ChatAnswer",
    "Chunk",
    "Client",
    "DeadlineExceeded",
    "Decision",
    "InternalError",
    "InvalidRequest",
    "NotPermitted",
    "Outcome",
    "OutcomeResult",
    "Reason",
    "RetryPolicy",
    "Stream",
    "StreamEnd",
    "Target",
    "TurnoutError",
    "Unavailable",
    "Unreachable",
    "UpstreamError",
    "UpstreamUnreachable",
    "Usage",
    "Violation",
]
