"""Errors in OpenAI's form: the status of HTTP by one table, our reason as the code."""

import json
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import NamedTuple

import grpc
import structlog
from aiohttp import web

from server.door.context import CLASS, LABELS, PRIORITY, TENANT, USER
from server.door.framing import FramingError, HeadTooLarge
from server.routing import errors
from server.routing.errors import InvalidRequest, PayloadTooLarge, RoutingError
from server.rpc.errors import MESSAGE_BYTES_MAX, code_of, cut, reason_of
from server.rpc.retry_info import may_have_been_asked, retry_after_s

# By the status of gRPC, as google.rpc.Code says it.
BY_CODE: Mapping[grpc.StatusCode, HTTPStatus] = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
}
# Where HTTP has more to say. Clients of OpenAI come back after 429.
BY_ERROR: Mapping[type[RoutingError], HTTPStatus] = {
    errors.UnknownClass: HTTPStatus.NOT_FOUND,
    errors.PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Shed: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ModelsBusy: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
}
# What OpenAI calls a kind of error; clients look at the status first.
_TYPES: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
# What routing calls a part of the context.
_HEADERS = {
    "context.traffic_class": CLASS,
    "context.tenant": TENANT,
    "context.user": USER,
    "context.labels": LABELS,
    "context.priority": PRIORITY,
    "context.response_format": "response_format",
    "features.capabilities": "",  # tools, or a message with a picture: the message says which
}
_log = structlog.get_logger()


class HttpError(Exception):
    """What only HTTP can get wrong: a path, a method, where a request comes from."""

    def __init__(self, status: HTTPStatus, reason: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Refusal(NamedTuple):
    """An error as its caller reads it."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> bytes:
        """As an event of a stream."""
        return b"data: " + self.body + b"\n\n"


def refusal_of(error: Exception, *, chance: Callable[[], float] = lambda: 0.0) -> Refusal:
    """Of an unexpected error it tells nothing, and the log no more than its kind.

    `chance`, uniform in [0, 1), is asked when to come back after SHED.
    """
    if isinstance(error, FramingError):
        kind = PayloadTooLarge if isinstance(error, HeadTooLarge) else InvalidRequest
        error = kind(str(error))
    if isinstance(error, HttpError):
        return _refusal(error.status, error.reason, str(error), None, error.headers)
    if not isinstance(error, RoutingError):
        _log.error("unexpected error", error=type(error).__name__, at=_place(error))
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", "internal error", None, {})
    status = status_of(error)
    headers = dict(_retry(error, status, chance))
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return _refusal(status, reason_of(error), str(error), _param(error.field), headers)


def status_of(error: RoutingError) -> HTTPStatus:
    """By the table."""
    status = BY_ERROR.get(type(error))
    return status or BY_CODE.get(code_of(error), HTTPStatus.INTERNAL_SERVER_ERROR)


def answer_of(refusal: Refusal) -> web.Response:
    """For aiohttp to write."""
    return web.Response(
        status=refusal.status,
        body=refusal.body,
        headers=refusal.headers,
        content_type="application/json",
    )


def bytes_of(refusal: Refusal) -> bytes:
    """The whole answer, where no request was read that it could be the answer to."""
    lines = [
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}",
        "content-type: application/json",
        f"content-length: {len(refusal.body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in refusal.headers.items()),
    ]
    return "\r\n".join((*lines, "", "")).encode("ascii") + refusal.body


def _retry(
    error: RoutingError, status: HTTPStatus, chance: Callable[[], float]
) -> Mapping[str, str]:
    """When to come back, and whether a stock client should do so by itself."""
    after_s = retry_after_s(error, code_of(error), chance)
    if after_s is None:
        # A model may have been paid, or no time would help; after 429 stock clients come back.
        is_final = may_have_been_asked(error) or status is HTTPStatus.TOO_MANY_REQUESTS
        return {"x-should-retry": "false"} if is_final else {}
    after_ms = ceil(after_s * 1_000)
    # Whole seconds are all that `retry-after` has; OpenAI's clients read the other first.
    return {"retry-after": str(-(-after_ms // 1_000)), "retry-after-ms": str(after_ms)}


def _place(error: Exception) -> str:
    """Where it was raised. Not its traceback: what was asked is in it, and in its words."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _param(field: str) -> str | None:
    """The field as its sender knows it: that the body is a message's field is our affair."""
    field = field.removeprefix("openai_chat").removeprefix(".")
    return _HEADERS.get(field, field) or None


def _refusal(
    status: HTTPStatus, reason: str, message: str, param: str | None, headers: Mapping[str, str]
) -> Refusal:
    error = {
        "message": cut(message, MESSAGE_BYTES_MAX),
        "type": _TYPES.get(status, _general_type(status)),
        "param": param,
        "code": reason,
    }
    return Refusal(status, headers, json.dumps({"error": error}).encode())


def _general_type(status: HTTPStatus) -> str:
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return "server_error" if is_ours else "invalid_request_error"
