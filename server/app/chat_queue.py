"""Large chats that wait to be read, fair over those who sent them."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.rpc.openai_chat import Chat

# Two of the largest. Read one by one, the last of as many bytes waits four seconds where all are of
# the dearest kind, and a tenth of one where they are pictures.
BYTES_MAX = 32 * 2**20
# Each holds a call with its task and its request besides.
BODIES_MAX = 64


@dataclass(eq=False, slots=True)
class Waiting:
    """A body, who sent it, and where its answer goes."""

    body: bytes | memoryview
    address: str
    connection: str
    answer: "asyncio.Future[Chat | Exception]"


class ChatQueue:
    """Addresses take turns, and so do the connections of an address."""

    def __init__(self, *, bodies_max: int = BODIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._bodies_max = bodies_max
        self._bytes_max = bytes_max
        # By address and connection; whose turn is next stands first.
        self._lines: dict[str, dict[str, deque[Waiting]]] = {}
        self._bodies = 0
        self._bytes = 0

    def put(self, newcomer: Waiting) -> Sequence[Waiting]:
        """Returns those that have to leave for it: the newest of whoever has most here.

        The newcomer itself is among them where nobody else has more.
        """
        connections = self._lines.setdefault(newcomer.address, {})
        connections.setdefault(newcomer.connection, deque()).append(newcomer)
        self._bodies += 1
        self._bytes += len(newcomer.body)
        leaving = []
        while self._bodies > self._bodies_max or self._bytes > self._bytes_max:
            leaving.append(self._newest_of_most(newcomer))
            self.discard(leaving[-1])
        return leaving

    def take(self) -> Waiting | None:
        """The next; its connection and its address go behind the others."""
        if not self._lines:
            return None
        address, connections = next(iter(self._lines.items()))
        connection, line = next(iter(connections.items()))
        waiting = line[0]
        self._lines[address] = self._lines.pop(address)
        connections[connection] = connections.pop(connection)
        self.discard(waiting)
        return waiting

    def discard(self, waiting: Waiting) -> None:
        """Takes it out, if it still waits."""
        connections = self._lines.get(waiting.address, {})
        line = connections.get(waiting.connection, deque())
        if waiting not in line:
            return
        line.remove(waiting)
        self._bodies -= 1
        self._bytes -= len(waiting.body)
        if not line:
            del connections[waiting.connection]
        if not connections:
            del self._lines[waiting.address]

    def _newest_of_most(self, newcomer: Waiting) -> Waiting:
        # Of two that have as much, the newcomer's leaves.
        address = max(
            self._lines,
            key=lambda name: (_bytes(self._lines[name].values()), name == newcomer.address),
        )
        connections = self._lines[address]
        connection = max(
            connections,
            key=lambda name: (_bytes((connections[name],)), name == newcomer.connection),
        )
        return connections[connection][-1]


def _bytes(lines: Iterable[Iterable[Waiting]]) -> int:
    return sum(len(waiting.body) for line in lines for waiting in line)
