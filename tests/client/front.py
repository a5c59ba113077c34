"""Stands between a client and a server, and fails as networks do."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

READ_BYTES = 1 << 16


class Front(socketserver.ThreadingTCPServer):
    """Relays each connection, unless it is to be refused or brings what gets it cut."""

    def __init__(self, behind: str, *, refusals: int, cut_on: bytes, cuts: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        host, port = behind.split(":")
        self.behind = host, int(port)
        self.cut_on = cut_on
        self._refusals = refusals
        self._cuts = cuts
        self._lock = threading.Lock()

    def is_refused(self) -> bool:
        with self._lock:
            self._refusals -= 1
            return self._refusals >= 0

    def is_cut(self) -> bool:
        with self._lock:
            self._cuts -= 1
            return self._cuts >= 0


class _Connection(socketserver.BaseRequestHandler):
    request: socket.socket
    server: Front

    def handle(self) -> None:
        if self.server.is_refused():
            return
        with socket.create_connection(self.server.behind) as behind:
            other = {self.request: behind, behind: self.request}
            while True:
                for ready in select.select([self.request, behind], [], [])[0]:
                    data = _received(ready)
                    if not data or (self.server.cut_on in data and self.server.is_cut()):
                        return
                    other[ready].sendall(data)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(READ_BYTES)
    except ConnectionError:
        return b""


@contextmanager
def fronting(
    behind: str, *, refusals: int = 0, cut_on: bytes = b"\0never\0", cuts: int = 0
) -> Iterator[str]:
    """Yields an address that leads to `behind`.

    The first `refusals` connections are closed at once; the first `cuts` requests that hold
    `cut_on` are lost, and their connections with them.
    """
    with Front(behind, refusals=refusals, cut_on=cut_on, cuts=cuts) as front:
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield front.address
        finally:
            front.shutdown()
            thread.join()
