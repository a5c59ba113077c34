"""What a caller hears of attempts that failed."""

from server.dispatch.exchange import EndpointError
from server.routing.errors import StreamBroken, UpstreamFailed
from server.routing.journey import Attempt
from server.routing.status_meaning import STATUS_MEANINGS

# Of an endpoint's own words, what an error passes on to the caller.
DETAIL_CHARS_MAX = 512


def failure(attempt: Attempt, error: EndpointError) -> UpstreamFailed:
    """What the caller hears of this attempt, if nothing better follows."""
    name, words = attempt.target.model.name, str(error)[:DETAIL_CHARS_MAX]
    code = STATUS_MEANINGS[error.code].caller_sees
    if attempt.is_answering:
        return StreamBroken(f"model {name} broke off: {words}", code=code)
    return UpstreamFailed(
        f"model {name}: {words}",
        reason=f"UPSTREAM_{error.code.name}",
        code=code,
        is_sent=error.is_sent,
        retry_after_s=error.retry_after_s,
    )


def telling(failures: list[UpstreamFailed]) -> UpstreamFailed:
    """The last that an endpoint was asked in, for that may be paid; else the last.

    It says when to come back if all that were asked did: the first of those times.
    """
    last = next((one for one in reversed(failures) if one.is_sent), failures[-1])
    times_s = [one.retry_after_s for one in failures if one.retry_after_s is not None]
    last.retry_after_s = min(times_s) if len(times_s) == len(failures) else None
    return last
