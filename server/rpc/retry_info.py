"""When a caller that was refused may come back, where that helps."""

from collections.abc import Callable
from math import ceil

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from server.routing.errors import KeyBusy, KeyRate, RoutingError, Shed, UpstreamFailed

# After UNAVAILABLE: a worker that starts, a plan's pass or an ejection's first retry take about
# this long. A call that holds up a key's others may take any time.
RETRY_AFTER_S = 1.0
# After SHED callers are sent back for a random time up to so much longer, or those who are refused
# together would return together.
SHED_SPREAD_S = 2.0


def retry_info(
    error: Exception, code: grpc.StatusCode, chance: Callable[[], float]
) -> RetryInfo | None:
    """None where to come back would not help, or a model may be at work on the request.

    `chance`, uniform in [0, 1), is asked about SHED.
    """
    after_s = retry_after_s(error, code, chance)
    if after_s is None:
        return None
    delay = Duration()
    delay.FromMilliseconds(ceil(after_s * 1_000))
    return RetryInfo(retry_delay=delay)


def retry_after_s(
    error: Exception, code: grpc.StatusCode, chance: Callable[[], float]
) -> float | None:
    """As retry_info says it."""
    if isinstance(error, KeyRate) or (
        isinstance(error, RoutingError) and error.retry_after_s is not None
    ):
        return error.retry_after_s
    if isinstance(error, Shed):
        return RETRY_AFTER_S + SHED_SPREAD_S * chance()
    is_away = code is grpc.StatusCode.UNAVAILABLE and not may_have_been_asked(error)
    return RETRY_AFTER_S if is_away or isinstance(error, KeyBusy) else None


def may_have_been_asked(error: Exception) -> bool:
    """Whether a model may have heard of the request."""
    return isinstance(error, UpstreamFailed) and error.is_sent
