"""Opens the socket of a connection to an endpoint, with TLS or without."""

import asyncio
import socket
import ssl

from server.transport.sockets.address import Address


async def open_socket(
    connection: asyncio.Protocol, address: Address, tls: ssl.SSLContext | None
) -> asyncio.BaseTransport:
    """Raises OSError, or ValueError for a host that is no name."""
    open_it = _open_unix if address.path else _open_tcp
    return await open_it(connection, address, tls)


def why_failed(error: OSError | ValueError) -> str:
    """Why there is no connection, in the system's words or ours."""
    if isinstance(error, TimeoutError):
        return "no connection came about in time"
    return (isinstance(error, OSError) and error.strerror) or str(error)


async def _open_unix(
    connection: asyncio.Protocol, address: Address, tls: ssl.SSLContext | None
) -> asyncio.BaseTransport:
    name = None if tls is None else address.authority
    transport, _ = await asyncio.get_running_loop().create_unix_connection(
        lambda: connection, address.path, ssl=tls, server_hostname=name
    )
    return transport


async def _open_tcp(
    connection: asyncio.Protocol, address: Address, tls: ssl.SSLContext | None
) -> asyncio.BaseTransport:
    """To the first of the host's addresses that answers."""
    loop, host, port = asyncio.get_running_loop(), address.host, address.port
    # Looked up here: uvloop forgets a look-up of its own when it is given up, and when that
    # fails later it is an error that nobody handles.
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    name = None if tls is None else host
    failure = OSError("the host has no address")
    for *_, where in found:
        try:
            transport, _ = await loop.create_connection(
                lambda: connection, str(where[0]), port, ssl=tls, server_hostname=name
            )
        except OSError as error:
            failure = error
        else:
            return transport
    raise failure
