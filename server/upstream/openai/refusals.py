"""Answers that are not 200, and errors in a stream: what they come to, in words that may go on."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp

from server.dispatch.exchange import EndpointError
from server.status_code import Code
from server.upstream.openai.failures import told_as_failures
from server.upstream.openai.statuses import SECRETIVE, code_of, retry_after_s
from server.upstream.openai.usage import Json
from server.upstream.openai.words import ERROR_BYTES_MAX, Told, fit_to_pass_on, told, told_in

# What `code` and `type` of an error are called where something is busy.
_BUSY = frozenset(
    ("rate_limit_exceeded", "rate_limit_error", "overloaded_error", "too_many_requests")
)


# What is over after a time, so that it helps to be told of one.
_PASSES = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.ABORTED})


class Refused(NamedTuple):
    """An answer that is not 200."""

    status: int
    code: Code
    told: Told
    retry_after_s: float | None


async def refused(response: aiohttp.ClientResponse) -> Refused:
    """What it says, and no more of it than an error needs; ends the exchange."""
    said = Told()
    try:
        with told_as_failures():
            said = told_in(await response.content.read(ERROR_BYTES_MAX))
    except EndpointError:
        said = Told()  # it broke off; its status says enough
    finally:
        response.close()
    code = code_of(response.status, said.code)
    return Refused(response.status, code, said, retry_after_s(response.headers, datetime.now(UTC)))


def refusal_error(refusal: Refused, request: bytes, secrets: Iterable[str]) -> EndpointError:
    """What dispatch is told of it."""
    own = f"it answered with status {refusal.status}"
    error = _error(refusal.code, own, refusal.told, request, secrets)
    if refusal.code in _PASSES:
        error.retry_after_s = refusal.retry_after_s
    return error


def event_error(error: Json, request: bytes, secrets: Iterable[str]) -> EndpointError:
    """Of an error that came as an event."""
    said = told(error)
    return _error(_code_within(error), "its stream ended with an error", said, request, secrets)


def _error(
    code: Code, own: str, said: Told, request: bytes, secrets: Iterable[str]
) -> EndpointError:
    words = "" if code in SECRETIVE else fit_to_pass_on(said.words, request, secrets)
    return EndpointError(code, f"{own}: {words}" if words else own)


def _code_within(error: Json) -> Code:
    """By the status in it, as vLLM and llama.cpp have it, or by its name."""
    if not isinstance(error, dict):
        return Code.INTERNAL
    status = error.get("code")
    if isinstance(status, int) and 400 <= status < 600:  # noqa: PLR2004 - of HTTP
        return code_of(status)
    return (
        Code.RESOURCE_EXHAUSTED
        if _is_busy(status) or _is_busy(error.get("type"))
        else Code.INTERNAL
    )


def _is_busy(name: Json) -> bool:
    return isinstance(name, str) and name in _BUSY
