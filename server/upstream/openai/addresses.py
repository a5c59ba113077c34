"""Where nothing is sent: link-local addresses, at which clouds give away the machine's own keys."""

import socket
from typing import Any

from server.config.endpoints import is_link_local


class AddressRefused(OSError):
    """A name led to an address that nothing is sent to."""


def socket_to(found: tuple[Any, ...]) -> socket.socket:
    """A socket for what getaddrinfo found; raises AddressRefused.

    It is asked for each address that is tried, so a name cannot lead to another meanwhile.
    """
    family, kind, protocol, _, where = found
    if is_link_local(str(where[0])):
        raise AddressRefused("it leads to a link-local address, where nothing is sent")
    return socket.socket(family, kind, protocol)
