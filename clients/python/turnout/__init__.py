"""The client library of Turnout, which decides which model answers each inference request."""

from turnout.answers import Answer, Cell, Decision, OutcomeResult, Reason, Target, Usage
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

__all__ = [
    "Answer",
    "AsyncClient",
    "Attempt",
    "BatchFields",
    "Cell",
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
    "Target",
    "TurnoutError",
    "Unavailable",
    "Unreachable",
    "UpstreamError",
    "UpstreamUnreachable",
    "Usage",
    "Violation",
]
