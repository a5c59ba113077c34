"""A server that listens by itself, when there is nothing left to accept with."""

import asyncio
import errno
import socket
from typing import cast

from server.transport.sockets.accepting import PAUSE_S, Accepting
from server.transport.sockets.listen import Listener, listen
from tests.server.transport.serving.raw_caller import soon
from tests.server.transport.turned_loop import TurnedLoop


class Poor:
    """A socket that listens, and at first has no descriptor to accept with."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.refused = asyncio.Event()

    def fileno(self) -> int:
        return self._real.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        if not self.refused.is_set():
            self.refused.set()
            raise OSError(errno.EMFILE, "no descriptor")
        return self._real.accept()

    def close(self) -> None:
        self._real.close()


def test_a_connection_waits_until_there_is_a_descriptor_for_it() -> None:
    loop = TurnedLoop()

    async def play() -> None:
        real = listen("127.0.0.1:0")
        poor = Poor(real.socket)
        taken: asyncio.Queue[socket.socket] = asyncio.Queue()
        accepting = Accepting(Listener(cast("socket.socket", poor), real.address), taken.put_nowait)
        host, _, port = real.address.rpartition(":")
        with socket.create_connection((host, int(port))):
            await soon(poor.refused.wait())
            loop.ahead_s += PAUSE_S
            (await soon(taken.get())).close()
        accepting.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())


async def test_whoever_listens_no_more_accepts_nothing() -> None:
    real = listen("127.0.0.1:0")
    taken: list[socket.socket] = []
    accepting = Accepting(real, taken.append)
    host, _, port = real.address.rpartition(":")
    with socket.create_connection((host, int(port))):
        accepting.close()
        await asyncio.sleep(0)
    assert taken == []
