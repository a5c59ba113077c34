"""One table: what a status of HTTP means, in the codes that all endpoints are judged by."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from server.status_code import Code

# An endpoint that asks for more is asked again after this all the same.
RETRY_AFTER_S_MAX = 3_600.0

CODES: Mapping[int, Code] = {
    400: Code.INVALID_ARGUMENT,
    # Our key is refused, or our account is empty: another model's may not be.
    401: Code.UNAUTHENTICATED,
    402: Code.PERMISSION_DENIED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,  # the model, or the path of the base URL
    405: Code.UNIMPLEMENTED,
    406: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    409: Code.ABORTED,
    410: Code.NOT_FOUND,
    413: Code.INVALID_ARGUMENT,
    415: Code.UNIMPLEMENTED,
    422: Code.INVALID_ARGUMENT,
    424: Code.UNAVAILABLE,
    425: Code.ABORTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
    529: Code.RESOURCE_EXHAUSTED,  # Anthropic's "overloaded"
}
# What these say may hold a key, or whose it is: nobody but its owner is told.
SECRETIVE = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED})
# What says with 429 that there is no money left: it is not busy, and waiting is of no use.
_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def code_of(status: int, upstream_code: str = "") -> Code:
    """Of an answer that is not 200; `upstream_code` is the `code` of its error."""
    if status == 429 and upstream_code in _NO_MONEY:  # noqa: PLR2004 - a status is its number
        return Code.PERMISSION_DENIED
    if status in CODES:
        return CODES[status]
    if 300 <= status < 400:  # noqa: PLR2004
        return Code.UNIMPLEMENTED  # a redirect would take the key and the prompt elsewhere
    if 400 <= status < 500:  # noqa: PLR2004
        return Code.FAILED_PRECONDITION
    return Code.UNAVAILABLE if status >= 500 else Code.INTERNAL  # noqa: PLR2004


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long the endpoint asks to be left alone; None: it does not say."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _within(milliseconds / 1_000)
    said = headers.get("retry-after", "").strip()
    seconds = _number(said)
    return _within(seconds) if seconds is not None else _until(said, now)


def _number(text: str) -> float | None:
    try:
        return float(text) if text and text[0].isdigit() else None
    except ValueError:
        return None


def _until(date: str, now: datetime) -> float | None:
    """A date as RFC 9110 has it."""
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return _within((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


def _within(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX)
