"""What goes wrong between us and an endpoint, as dispatch knows failures.

No message has the words of the library's exceptions: those quote what they could not read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from server.dispatch.exchange import EndpointError
from server.status_code import Code
from server.transport.sockets.tls import why_failed
from server.upstream.openai.addresses import AddressRefused


@contextmanager
def told_as_failures() -> Iterator[None]:
    """Raises EndpointError for whatever the library raises."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
        raise _failure(error) from None


def _failure(error: Exception) -> EndpointError:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return EndpointError(Code.UNAVAILABLE, "no connection came about in time", is_sent=False)
    if isinstance(error, TimeoutError):
        return EndpointError(Code.DEADLINE_EXCEEDED, "its answer did not come in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        message = f"cannot connect: {_why(error)}"
        return EndpointError(Code.UNAVAILABLE, message, is_sent=False)
    if isinstance(error, aiohttp.ClientPayloadError):
        return EndpointError(Code.UNAVAILABLE, "its answer broke off")
    if isinstance(error, aiohttp.ClientResponseError):
        return EndpointError(Code.INTERNAL, "its answer is no HTTP, or beyond our limits")
    return EndpointError(Code.UNAVAILABLE, "the connection broke before the answer")


def _why(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return why_failed(cause) if isinstance(cause, OSError) else "its certificate is refused"
    cause = error.os_error
    return str(cause) if isinstance(cause, AddressRefused) else why_failed(cause)
