"""Sockets that listen: on host:port, [IPv6]:port or unix:/PATH."""

import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from server.transport.sockets.address import parse_address

# Connections that the kernel keeps until they are accepted; it keeps no more than its own
# net.core.somaxconn, which is 4,096 on Linux.
BACKLOG = 4_096
# Of a Unix socket: its owner and its group; who else should ask is made a member of that.
SOCKET_MODE = 0o660


class ListenError(Exception):
    """The address cannot be listened on; the message says why."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        """`errno` is the system's; None where it said nothing."""
        super().__init__(message)
        self.errno = errno


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens, without blocking."""

    socket: socket.socket
    address: str  # as callers name it, with the port that was free

    def close(self) -> None:
        """Listens no more; a Unix socket leaves no file behind."""
        path = parse_address(self.address).path
        if path:
            Path(path).unlink(missing_ok=True)
        self.socket.close()


def listen(address: str) -> Listener:
    """Listens on an address that nobody else does; raises ListenError."""
    host, port, path = parse_address(address)
    try:
        if path:
            return Listener(_on_path(path), address)
        listening = _on_port(host, port)
    except OSError as error:
        raise ListenError(f"{address}: {_reason(error)}", error.errno) from None
    except UnicodeError:  # of a part of the name that is empty or too long
        raise ListenError(f"{address}: this is no name of a host") from None
    return Listener(listening, f"{address.rpartition(':')[0]}:{listening.getsockname()[1]}")


def _on_port(host: str, port: int) -> socket.socket:
    family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.create_server(
        where,
        family=family,
        backlog=BACKLOG,
        # [::] takes IPv4 as well, as in gRPC.
        dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6(),
    )
    listening.setblocking(False)
    return listening


def _on_path(path: str) -> socket.socket:
    _remove_stale(Path(path))
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(path)
        Path(path).chmod(SOCKET_MODE)  # before anyone can connect
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _remove_stale(path: Path) -> None:
    """Removes the socket that a killed process left; raises OSError if it is anything else."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.ENOTSOCK, "there is a file that is no socket")
    if _answers(path):
        raise OSError(errno.EADDRINUSE, "")
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # someone listens, too busy for one more
            return True
    return True


def _reason(error: OSError) -> str:
    # Names that are not found have negative numbers, and words of their own.
    if error.errno is not None and error.errno > 0 and error.errno != errno.ENOTSOCK:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
