"""Connections that come faster than the loop accepts them."""

import socket
from contextlib import ExitStack

import pytest

from server.transport.serving.server import Server

# asyncio and uvloop would let a hundred wait.
BURST = 300
WAIT_S = 5.0  # each takes microseconds, or a second and more where the kernel drops it


@pytest.mark.parametrize("address", ["127.0.0.1:0", "unix:{}/burst.sock"])
async def test_a_burst_of_connections_waits_in_the_kernel(
    address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(chance=lambda: 0.5)
    bound = await server.listen(address.format(tmp_path_factory.mktemp("burst")))
    with ExitStack() as stack:
        for _ in range(BURST):  # the loop does not turn meanwhile
            stack.enter_context(connected(bound))
    await server.stop(0)


def connected(address: str) -> socket.socket:
    """Raises TimeoutError where the kernel lets it wait."""
    if not address.startswith("unix:"):
        host, port = address.split(":")
        return socket.create_connection((host, int(port)), WAIT_S)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(WAIT_S)
    made.connect(address.removeprefix("unix:"))
    return made
