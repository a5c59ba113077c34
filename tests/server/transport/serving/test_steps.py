"""What the common small request costs, counted in calls of our Python functions."""

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import grpc
import pytest

from server import transport
from server.transport.grpc.messages import framed
from server.transport.http2.connection import Connection
from server.transport.http2.hpack.table import Header
from server.transport.serving.connection import ServerConnection
from server.transport.serving.server import Server
from tests.server.transport.serving.kept_writes import Writes
from tests.server.transport.serving.raw_caller import SERVICE, echo, head

OURS = str(Path(transport.__file__).parent)
DEADLINE: Header = (b"grpc-timeout", b"500m")


class Pair:
    """A caller and a connection, past their beginning, on a clock that stands still."""

    def __init__(self) -> None:
        server = Server(chance=lambda: 0.5, clock=lambda: 0.0)
        server.add_registered_method_handlers(
            SERVICE, {"Call": grpc.unary_unary_rpc_method_handler(echo)}
        )
        self._socket, self._caller = Writes(), Connection(client=True)
        self.connection: ServerConnection = server.connected()
        self.connection.connection_made(self._socket)

    def read(self, *fields: Header) -> bytes:
        """A whole request, as it comes in one read."""
        self._caller.request((*head("Call"), *fields), framed(b"hello"))
        return self._caller.take_output()

    def answer(self) -> None:
        """Lets the caller have what was written, and say what it has to."""
        self._caller.receive(b"".join(self._socket.kept), 0.0)
        self._socket.kept.clear()
        if output := self._caller.take_output():
            self.connection.data_received(output)


def steps(fields: tuple[Header, ...], rounds: int = 20) -> float:
    """How many of our functions are called for a request like many before it."""
    pair, calls = Pair(), Counter[str]()
    for _ in range(rounds):
        pair.connection.data_received(pair.read(*fields))
        pair.answer()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            calls[frame.f_code.co_qualname] += 1

    for _ in range(rounds):
        data = pair.read(*fields)
        sys.setprofile(count)
        pair.connection.data_received(data)
        sys.setprofile(None)
        pair.answer()
    pair.connection.connection_lost(None)
    return calls.total() / rounds


@pytest.mark.parametrize(("fields", "most"), [((), 60), ((DEADLINE,), 68)])
async def test_a_small_request_is_answered_in_so_many_steps(
    fields: tuple[Header, ...], most: int
) -> None:
    # A step more costs every request of every caller: it needs a reason, and this number.
    assert 0 < steps(fields) <= most
