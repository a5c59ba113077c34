"""The acceptor with real sockets; its workers are takers on the same loop.

It listens on a Unix socket, for there a connection waits to be accepted as soon as it is made.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import structlog

from server.supervisor.acceptor import Acceptor
from server.supervisor.balance import UNTAKEN_MAX
from server.transport.sockets.hand_over import Taker, pair
from server.transport.sockets.listen import Listener, listen
from tests.server.transport.sockets.test_hand_over import no_descriptor_left

CALLER_S = 10.0

Socket = socket.socket


class Worker:
    """Takes connections, says its name on each, and keeps it until told to end it."""

    def __init__(self, name: str, acceptor: Acceptor, ends: tuple[Socket, Socket]) -> None:
        self.name = name
        ours, self.channel = ends
        self.held: list[socket.socket] = []
        self._taker: Taker | None = None
        acceptor.join(name, ours)

    def take(self) -> "Worker":
        self._taker = Taker(self.channel, self._greet)
        self._taker.start()
        return self

    def _greet(self, connection: socket.socket) -> None:
        connection.send(self.name.encode())
        self.held.append(connection)

    def end_one(self) -> None:
        assert self._taker is not None
        self.held.pop().close()
        self._taker.report_end()

    def die(self) -> None:
        if self.channel.fileno() < 0:
            return
        if self._taker is not None:
            self._taker.close()
        self.channel.close()
        while self.held:
            self.held.pop().close()


class Service:
    """An acceptor, its workers, and callers of it."""

    def __init__(self, listener: Listener) -> None:
        self.path = listener.address.removeprefix("unix:")
        self.acceptor = Acceptor(listener)
        self.stopped = False
        self.workers: list[Worker] = []
        self.callers: list[asyncio.StreamWriter] = []

    def worker(self, name: str, ends: tuple[Socket, Socket] | None = None) -> Worker:
        worker = Worker(name, self.acceptor, ends or pair())
        self.workers.append(worker)
        return worker

    async def connect(self) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_unix_connection(self.path)
        self.callers.append(writer)
        return reader

    async def greeting(self) -> str:
        """Who answers a new caller; empty if the connection is closed."""
        return await said(await self.connect())

    def stop(self) -> None:
        self.stopped = True
        self.acceptor.stop()

    def close(self) -> None:
        for writer in self.callers:
            writer.close()
        for worker in self.workers:
            worker.die()
        if not self.stopped:
            self.stop()
        self.acceptor.close()


async def said(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(CALLER_S):
        try:
            return (await reader.read(64)).decode()
        except ConnectionError:
            return ""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(listen(f"unix:{tmp_path}/data.sock"))
    yield service
    service.close()


@asynccontextmanager
async def nothing_is_answered(reader: asyncio.StreamReader) -> AsyncIterator[None]:
    """The caller waits, before and while something happens that lets it go on."""
    waiting = asyncio.create_task(reader.read(64))
    await turns()
    assert not waiting.done()
    yield
    async with asyncio.timeout(CALLER_S):
        assert await waiting


@contextmanager
def waiting_caller(path: str) -> Iterator[socket.socket]:
    """One that connected while the loop did not turn."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        caller.setblocking(False)
        yield caller


async def turns() -> None:
    """Enough of the loop for whatever is ready to happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_connections_are_spread_over_the_workers(service: Service) -> None:
    for name in ("a", "b", "c", "d"):
        service.worker(name).take()
    greetings = [await service.greeting() for _ in range(16)]
    assert {greetings.count(name) for name in "abcd"} == {4}


async def test_the_end_of_a_connection_makes_room_for_the_next(service: Service) -> None:
    a, b = service.worker("a").take(), service.worker("b").take()
    for _ in range(4):
        await service.greeting()
    b.end_one()
    await turns()
    assert await service.greeting() == "b"
    assert (len(a.held), len(b.held)) == (2, 2)


async def test_callers_wait_until_there_is_a_worker(service: Service) -> None:
    reader = await service.connect()
    async with nothing_is_answered(reader):
        service.worker("a").take()


async def test_a_dead_worker_takes_only_its_own_connections_with_it(service: Service) -> None:
    a, b = service.worker("a").take(), service.worker("b").take()
    readers = [await service.connect() for _ in range(4)]
    greetings = [await said(reader) for reader in readers]
    a.die()
    await turns()
    of_a = [r for r, name in zip(readers, greetings, strict=True) if name == "a"]
    assert [await said(reader) for reader in of_a] == ["", ""]
    assert len(b.held) == 2
    assert await service.greeting() == "b"


async def test_what_a_dying_worker_can_not_take_goes_to_another(service: Service) -> None:
    a, _ = service.worker("a").take(), service.worker("b").take()
    a.channel.shutdown(socket.SHUT_RDWR)  # its end has not been heard of yet
    assert await service.greeting() == "b"


async def test_a_worker_that_is_started_again_gets_the_next_connections(service: Service) -> None:
    a = service.worker("a").take()
    service.worker("b").take()
    for _ in range(4):
        await service.greeting()
    a.die()
    service.worker("a").take()
    assert [await service.greeting() for _ in range(2)] == ["a", "a"]


async def test_a_worker_that_hangs_gets_a_bounded_number_and_callers_wait(
    service: Service,
) -> None:
    hanging = service.worker("a")
    for _ in range(UNTAKEN_MAX):
        await service.connect()
    reader = await service.connect()
    async with nothing_is_answered(reader):
        hanging.take()
    assert len(hanging.held) == UNTAKEN_MAX + 1


async def test_the_others_get_what_a_hanging_worker_does_not_take(service: Service) -> None:
    service.worker("hanging")
    taking = service.worker("taking").take()
    for _ in range(3 * UNTAKEN_MAX):
        await service.connect()
        await turns()
    assert len(taking.held) == 2 * UNTAKEN_MAX


async def test_without_descriptors_callers_wait_and_are_accepted_later(service: Service) -> None:
    service.worker("a").take()
    with waiting_caller(service.path) as caller:
        with no_descriptor_left(), structlog.testing.capture_logs() as logs:
            await turns()
        assert [entry["event"] for entry in logs] == ["connections have to wait"]  # for a while
        async with asyncio.timeout(CALLER_S):
            assert await asyncio.get_running_loop().sock_recv(caller, 64) == b"a"


def not_yet_connected(folder: Path) -> tuple[Socket, Socket]:
    """Both ends of a channel over which nothing can be handed, though neither has gone."""
    ends = Socket(socket.AF_UNIX, socket.SOCK_DGRAM), Socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for index, end in enumerate(ends):
        end.setblocking(False)
        end.bind(f"{folder}/end-{index}")
    return ends


async def test_a_worker_that_the_kernel_has_no_room_to_hand_to_is_tried_again(
    service: Service, tmp_path: Path
) -> None:
    ours, theirs = not_yet_connected(tmp_path)
    worker = service.worker("a", (ours, theirs))
    with structlog.testing.capture_logs() as logs:
        assert await service.greeting() == ""
    assert [entry["event"] for entry in logs] == [
        "a connection is closed: there is no room to hand it over",
        "connections have to wait",
    ]
    ours.connect(theirs.getsockname())
    theirs.connect(ours.getsockname())
    worker.take()
    assert await service.greeting() == "a"


async def test_what_waits_at_the_end_is_handed_over_still(service: Service) -> None:
    worker = service.worker("a").take()
    await service.greeting()
    with waiting_caller(service.path) as caller:
        service.stop()
        await turns()
        assert caller.recv(64) == b"a"
    assert len(worker.held) == 2


async def test_after_the_end_nobody_is_accepted(service: Service) -> None:
    service.worker("a").take()
    service.stop()
    with pytest.raises(FileNotFoundError):
        await service.connect()
    service.worker("b").take()  # one that was being started
    with pytest.raises(FileNotFoundError):
        await service.connect()
