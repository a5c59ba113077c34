"""Reads gRPC's errors: google.rpc.Status, which Turnout puts beside each of them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from turnout.answers import OutcomeResult
from turnout.convert import seconds
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
from turnout.v1.routing_pb2 import Refusal

_DETAILS = "grpc-status-details-bin"
TURNOUT = "turnout"
_UPSTREAM = "upstream"

_BY_CODE: Mapping[StatusCode, type[TurnoutError]] = MappingProxyType(
    {
        StatusCode.INVALID_ARGUMENT: InvalidRequest,
        StatusCode.OUT_OF_RANGE: InvalidRequest,
        StatusCode.NOT_FOUND: InvalidRequest,
        StatusCode.ALREADY_EXISTS: InvalidRequest,
        # Too large. Money has a QuotaFailure, and what a key asks too fast a time to come back.
        StatusCode.RESOURCE_EXHAUSTED: InvalidRequest,
        StatusCode.FAILED_PRECONDITION: NotPermitted,
        StatusCode.PERMISSION_DENIED: NotPermitted,
        StatusCode.UNAUTHENTICATED: NotPermitted,
        StatusCode.UNAVAILABLE: Unavailable,
        StatusCode.CANCELLED: Unavailable,
        StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    }
)

_ASKED_AGAIN: Mapping[type[TurnoutError], type[TurnoutError]] = MappingProxyType(
    {UpstreamError: UpstreamUnreachable, InvalidRequest: Unavailable}
)

_CODES = MappingProxyType({code.value[0]: code for code in StatusCode})

# gRPC has no other sign that a call never found a connection. Should its words change, such a
# call counts as perhaps sent, and is not sent again where that matters.
_NEVER_CONNECTED = (
    "failed to connect to all addresses",
    "errors resolving",
    "DNS resolution failed",  # what grpcio 1.76 says for the same
)

_Detail = TypeVar("_Detail", bound=Message)


def error_of(raised: grpc.RpcError) -> TurnoutError:
    return _error(raised.code(), raised.details() or raised.code().name, _status(raised))


def error_of_refusal(refusal: Refusal) -> TurnoutError:
    """The error that a call of its own would have raised."""
    code = _CODES.get(refusal.code, StatusCode.UNKNOWN)
    return _error(code, refusal.message, Status.FromString(refusal.SerializeToString()))


def _error(code: StatusCode, message: str, status: Status) -> TurnoutError:
    info = _detail(status, ErrorInfo) or ErrorInfo()
    kind = _kind(code, info.domain, message, spent=_detail(status, QuotaFailure))
    retry_after_s = _retry_after_s(status)
    if retry_after_s is not None:  # Turnout says so only where it asked nobody
        kind = _ASKED_AGAIN.get(kind, kind)
    return kind(
        message,
        reason=info.reason,
        domain=info.domain,
        violations=_violations(status),
        retry_after_s=retry_after_s,
    )


def refusal_of(result: OutcomeResult) -> InvalidRequest:
    """The error that says of one outcome what its result says."""
    return InvalidRequest(result.message, reason=result.reason, domain=TURNOUT)


def _kind(
    code: StatusCode, domain: str, message: str, *, spent: QuotaFailure | None
) -> type[TurnoutError]:
    if code is StatusCode.UNAVAILABLE and not domain and message.startswith(_NEVER_CONNECTED):
        return Unreachable
    if spent:
        return NotPermitted
    if domain == _UPSTREAM and code is not StatusCode.DEADLINE_EXCEEDED:
        return UpstreamError
    return _BY_CODE.get(code, InternalError)


def _status(raised: grpc.RpcError) -> Status:
    """Empty where none came, or nothing readable: proxies and other servers send what they like."""
    # What both clients give; the type stubs know the pairs of the asyncio client only.
    metadata = cast("Iterable[tuple[str, bytes]] | None", raised.trailing_metadata())
    details = next((value for key, value in metadata or () if key == _DETAILS), b"")
    try:
        return Status.FromString(details)
    except DecodeError:
        return Status()


def _detail(status: Status, kind: type[_Detail]) -> _Detail | None:
    for packed in status.details:
        if packed.TypeName() == kind.DESCRIPTOR.full_name:
            try:
                return kind.FromString(packed.value)
            except DecodeError:
                return None
    return None


def _violations(status: Status) -> tuple[Violation, ...]:
    bad = _detail(status, BadRequest) or BadRequest()
    return tuple(Violation(each.field, each.description) for each in bad.field_violations)


def _retry_after_s(status: Status) -> float | None:
    retry = _detail(status, RetryInfo)
    return None if retry is None else max(0.0, seconds(retry.retry_delay))
