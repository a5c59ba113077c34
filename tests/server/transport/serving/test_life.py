"""How a server comes to its connections, and how it leaves them."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
import uvloop
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.grpc.methods import RpcHandler
from server.transport.http2.limits import Limits
from server.transport.limit_log import LINES_MAX
from server.transport.serving.call import ServerCall
from server.transport.serving.holding import TLS_BYTES, TLS_COPIES
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from server.transport.sockets.listen import ListenError
from server.transport.sockets.tls import TlsFiles, server_context
from tests.server.certificates import Authority
from tests.server.transport.serving.raw_caller import (
    HOST,
    PATIENCE_S,
    SERVICE,
    Servicer,
    calling,
    echo,
    serving,
    soon,
    waiting,
)


def server(
    servicer: Servicer = echo, limits: ServerLimits | None = None, *, ended: asyncio.Event
) -> Server:
    made = Server(limits, chance=lambda: 0.5, on_ended=ended.set)
    handlers: dict[str, RpcHandler] = {"Echo": grpc.unary_unary_rpc_method_handler(servicer)}
    made.add_registered_method_handlers(SERVICE, handlers)
    return made


def pair() -> tuple[socket.socket, socket.socket]:
    """The caller's end of a connection, and the server's."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


def over_tcp(listening: socket.socket) -> tuple[socket.socket, socket.socket]:
    """The caller's end of a connection, and the server's, which has the address of the caller."""
    ours = socket.create_connection(listening.getsockname())
    theirs, _ = listening.accept()
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


async def accepted(made: Server) -> socket.socket:
    """The caller's end of a connection that the server was given."""
    ours, theirs = pair()
    await made.adopt(theirs)
    return ours


def trusting(authority: Authority, protocol: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols([protocol])
    return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    return authority.issue("server", HOST)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "[::1]:0"])
async def test_a_server_listens_on_a_free_port(address: str) -> None:
    made = server(ended=asyncio.Event())
    try:
        bound = await made.listen(address)
        assert bound.rpartition(":")[0] == address.rpartition(":")[0]
        assert bound.rpartition(":")[2] != "0"
        async with calling(bound) as caller:
            assert (await caller.call("Echo")).status == Code.OK
    finally:
        await made.stop(0)


async def test_a_server_listens_on_a_unix_socket_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "data.sock"
    seen: list[str] = []

    async def servicer(request: bytes, context: ServerCall) -> bytes:
        seen.append(context.peer())
        return request

    made = server(servicer, ended=asyncio.Event())
    try:
        assert await made.listen(f"unix:{path}") == f"unix:{path}"
        async with calling(f"unix:{path}") as caller:
            assert (await caller.call("Echo")).status == Code.OK
    finally:
        await made.stop(0)
    assert seen == ["unix:"]
    assert not path.exists()


async def test_an_address_that_is_taken_cannot_be_listened_on() -> None:
    async with serving() as (_, address):
        with pytest.raises(ListenError, match="address already in use"):
            await server(ended=asyncio.Event()).listen(address)


async def test_a_connection_that_somebody_else_accepted_is_served_and_its_end_is_told() -> None:
    ended = asyncio.Event()
    made = server(ended=ended)
    ours = await accepted(made)
    async with calling(ours) as caller:
        assert (await caller.call("Echo")).status == Code.OK
        assert made.connections == 1
        assert not ended.is_set()
    await soon(ended.wait())
    assert made.connections == 0


async def test_a_connection_may_be_encrypted(authority: Authority, files: TlsFiles) -> None:
    made = server(ended=asyncio.Event())
    ours, theirs = pair()
    adopting = asyncio.create_task(made.adopt(theirs, server_context(files)))
    async with calling(ours, ssl=trusting(authority, "h2")) as caller:
        await soon(adopting)
        assert (await caller.call("Echo")).status == Code.OK
    await made.stop(0)


async def test_an_encrypted_connection_holds_what_its_largest_burst_has_left_behind(
    authority: Authority, files: TlsFiles
) -> None:
    made = server(ended=asyncio.Event())
    ours, theirs = pair()
    adopting = asyncio.create_task(made.adopt(theirs, server_context(files)))
    async with calling(ours, ssl=trusting(authority, "h2")) as caller:
        await soon(adopting)
        await caller.beat()
        quiet = made.held.in_all
        assert quiet >= TLS_BYTES
        assert (await caller.call("Echo", bytes(60_000))).status == Code.OK
        await caller.beat()
        assert made.held.in_all >= quiet + TLS_COPIES * 16_384  # of a record at least
    await made.stop(0)
    assert made.held.in_all == 0


async def test_a_caller_that_does_not_agree_on_http2_is_turned_away(
    authority: Authority, files: TlsFiles
) -> None:
    ended = asyncio.Event()
    made = server(ended=ended)
    ours, theirs = pair()
    with capture_logs() as logs:
        adopting = asyncio.create_task(made.adopt(theirs, server_context(files)))
        reader, writer = await asyncio.open_connection(
            sock=ours, ssl=trusting(authority, "http/1.1"), server_hostname=HOST
        )
        assert await soon(reader.read()) == b""
        await soon(adopting)
        await soon(ended.wait())
    assert [line["why"] for line in logs] == ["no agreement on HTTP/2 (ALPN h2)"]
    assert made.connections == 0
    writer.close()


@pytest.mark.parametrize("limit_s", [10.0, 0.01])
async def test_a_handshake_that_fails_is_told_as_an_end(files: TlsFiles, limit_s: float) -> None:
    ended = asyncio.Event()
    made = server(ended=ended, limits=ServerLimits(handshake_s_max=limit_s))
    ours, theirs = pair()
    if limit_s > 1:  # else the caller says nothing
        ours.send(b"GET / HTTP/1.1\r\n\r\n")
    await soon(made.adopt(theirs, server_context(files)))
    assert ended.is_set()
    assert made.limits_reached == ({} if limit_s > 1 else {"handshake": 1})
    ours.close()


Knock = Callable[[], Awaitable[socket.socket]]


@asynccontextmanager
async def adopting(made: Server, context: ssl.SSLContext) -> AsyncIterator[Knock]:
    """Gives the caller's end of connections that the server is given."""
    greeting: list[asyncio.Task[None]] = []

    async def knock() -> socket.socket:
        ours, theirs = over_tcp(listening)
        greeting.append(asyncio.create_task(made.adopt(theirs, context)))
        return ours

    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield knock
        await asyncio.gather(*greeting)


@asynccontextmanager
async def listening_to(made: Server, context: ssl.SSLContext) -> AsyncIterator[Knock]:
    """Gives the caller's end of connections that the server accepts."""
    host, _, port = (await made.listen("127.0.0.1:0", context)).rpartition(":")

    async def knock() -> socket.socket:
        ours = socket.create_connection((host, int(port)))
        ours.setblocking(False)
        return ours

    yield knock


WAYS = pytest.mark.parametrize("way", [adopting, listening_to])
Way = Callable[[Server, ssl.SSLContext], AbstractAsyncContextManager[Knock]]


async def rest(ours: socket.socket) -> bytes:
    """What comes until the end of a connection, which may be a reset."""
    loop, found = asyncio.get_running_loop(), b""
    with suppress(ConnectionError):
        while data := await soon(loop.sock_recv(ours, 1_024)):
            found += data
    ours.close()
    return found


@WAYS
async def test_a_handshake_that_fails_is_logged_with_the_address_and_a_flood_of_them_is_not(
    files: TlsFiles, way: Way
) -> None:
    made = server(ended=asyncio.Event())
    with capture_logs() as logs:
        async with way(made, server_context(files)) as knock:
            for _ in range(LINES_MAX + 3):
                ours = await knock()
                ours.send(b"GET /secret HTTP/1.1\r\n\r\n")
                await rest(ours)
        await made.stop(0)
    assert [line["event"] for line in logs] == ["TLS handshake failed"] * LINES_MAX
    assert {line["log_level"] for line in logs} == {"info"}
    assert {line["why"] for line in logs} == {"HTTP_REQUEST"}
    peers = [line["peer"] for line in logs]
    assert all(peer.startswith("ipv4:127.0.0.1:") for peer in peers)
    assert len(set(peers)) == LINES_MAX
    assert made.connections == 0


@WAYS
async def test_a_handshake_that_takes_too_long_is_counted_and_logged(
    files: TlsFiles, way: Way
) -> None:
    made = server(ended=asyncio.Event(), limits=ServerLimits(handshake_s_max=0.01))
    with capture_logs() as logs:
        async with way(made, server_context(files)) as knock:
            ours = await knock()
            host, port = ours.getsockname()
            assert await rest(ours) == b""
        await made.stop(0)
    assert made.limits_reached == {"handshake": 1}
    (line,) = logs
    assert (line["event"], line["limit"]) == ("limit reached", "handshake")
    assert line["peer"] == f"ipv4:{host}:{port}"


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_time_of_a_handshake_is_over_whatever_step_the_clock_makes(
    files: TlsFiles, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def play() -> None:
        for handshake_s in (0.001, 0.0015, 0.002, 0.0025, 0.003):
            limits = ServerLimits(handshake_s_max=handshake_s)
            made = server(ended=asyncio.Event(), limits=limits)
            ours, theirs = pair()
            await soon(made.adopt(theirs, server_context(files)))
            assert made.limits_reached == {"handshake": 1}
            ours.close()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(play())


async def test_a_peer_that_leaves_before_its_handshake_is_told_as_an_end(files: TlsFiles) -> None:
    ended = asyncio.Event()
    made = server(ended=ended)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours, theirs = over_tcp(listening)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ours.close()  # at once, so that the socket has no peer any more
        await soon(made.adopt(theirs, server_context(files)))
    assert ended.is_set()
    assert theirs.fileno() == -1
    assert made.connections == 0


async def test_a_connection_too_many_gets_no_handshake(
    authority: Authority, files: TlsFiles
) -> None:
    limits = ServerLimits(connections_per_address_max=1)
    made, context = server(ended=asyncio.Event(), limits=limits), server_context(files)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent, theirs = over_tcp(listening)
        first = asyncio.create_task(made.adopt(theirs, context))
        await asyncio.sleep(0)
        assert made.connections == 1
        turned_away, theirs = over_tcp(listening)
        await soon(made.adopt(theirs, context))
        assert await soon(asyncio.get_running_loop().sock_recv(turned_away, 1)) == b""
        assert made.limits_reached == {"connections_per_address": 1}
        silent.close()
        await soon(first)  # what came to nothing is counted no more
        assert made.connections == 0
        ours, theirs = over_tcp(listening)
        adopting = asyncio.create_task(made.adopt(theirs, context))
        async with calling(ours, ssl=trusting(authority, "h2")) as caller:
            await soon(adopting)
            assert (await caller.call("Echo")).status == Code.OK
            assert made.connections == 1
        turned_away.close()
    await made.stop(0)
    assert made.connections == 0


async def test_stopping_waits_for_calls_and_serves_those_that_come_before_it_is_known() -> None:
    servicer, began, go_on, _ = waiting()
    async with serving(unary_Wait=servicer, unary_Echo=echo) as (made, address):
        async with calling(address) as caller:
            first = caller.begin("Wait")
            caller.send(first, framed(b"hello"), end=True)
            await soon(began.wait())
            stopping = asyncio.create_task(made.stop(20.0))
            await asyncio.sleep(0)  # the first GOAWAY is under way; the caller has not read it
            late = caller.begin("Echo")
            caller.send(late, framed(b"late"), end=True)
            assert await caller.left() == late
            assert (await caller.answer(late)).status == Code.OK
            assert not stopping.done()
            go_on.set()
            assert (await caller.answer(first)).status == Code.OK
            assert await caller.ended() == []
        await soon(stopping)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address.split(":"))


async def test_calls_that_do_not_end_in_time_are_ended_by_the_stop() -> None:
    servicer, began, _, cancelled = waiting()
    async with serving(unary_Wait=servicer) as (made, address), calling(address) as caller:
        stream_id = caller.begin("Wait")
        caller.send(stream_id, framed(b"hello"), end=True)
        await soon(began.wait())
        stopping = asyncio.create_task(made.stop(0.0))
        answer = await caller.answer(stream_id)
        assert (answer.status, answer.message) == (Code.UNAVAILABLE, "the server stops")
        assert cancelled.is_set()
        caller.writer.close()
        await soon(stopping)


async def test_a_stop_waits_for_servicers_to_clean_up() -> None:
    cleaned = False

    async def servicer(request: bytes, context: ServerCall) -> bytes:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned = True
        return request

    async with serving(unary_Wait=servicer) as (made, address), calling(address) as caller:
        caller.send(caller.begin("Wait"), framed(b""), end=True)
        await caller.beat()
        caller.writer.close()
        await made.stop(0.0)
        assert cleaned


async def test_a_server_without_connections_stops_at_once() -> None:
    await soon(server(ended=asyncio.Event()).stop(1_000.0))


@pytest.mark.slow  # the time that a peer is left to read why
async def test_a_peer_that_ignores_every_word_does_not_hold_up_a_stop() -> None:
    async with serving(unary_Echo=echo) as (made, address), calling(address) as caller:
        assert (await caller.call("Echo")).status == Code.OK
        await soon(made.stop(0.0))
        assert made.connections == 0


async def test_a_connection_that_is_adopted_while_the_server_stops_is_asked_to_leave() -> None:
    ended = asyncio.Event()
    made = server(ended=ended)
    await made.stop(0)
    async with calling(await accepted(made)) as caller:
        assert await caller.left() == 0
        assert await caller.ended() == []
    await soon(ended.wait())


async def test_a_peer_that_left_just_before_its_connection_ends_is_no_error() -> None:
    ended = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours, theirs = over_tcp(listening)
    loop = asyncio.get_running_loop()
    _, connection = await loop.connect_accepted_socket(server(ended=ended).connected, theirs)
    await soon(loop.sock_recv(ours, 1_024))  # the server's SETTINGS
    ours.close()  # its kernel answers what still comes with a reset
    connection.end(Code.UNAVAILABLE, "the server stops")
    await soon(ended.wait())


async def test_a_slow_reader_gets_a_large_answer_whole_though_its_connection_retires() -> None:
    size, go_on = 6 * 2**20, asyncio.Event()

    async def servicer(request: bytes, context: object) -> bytes:
        await go_on.wait()
        return bytes(size)

    wide = Limits(stream_window_bytes=2**25, connection_window_bytes=2**25)
    limits = ServerLimits(message_bytes_max=size)
    async with (
        serving(limits=limits, unary_Call=servicer) as (server, address),
        calling(address, wide) as caller,
    ):
        stream_id = caller.request("Call", framed(b""))
        await caller.beat()
        stopping = asyncio.create_task(server.stop(PATIENCE_S))
        await caller.left()
        caller.pause_reading()
        go_on.set()
        for _ in range(300):  # what the kernel takes is with it by then
            await asyncio.sleep(0)
        caller.resume_reading()
        answer = await caller.answer(stream_id)
        assert (answer.status, len(answer.data)) == (Code.OK, size + 5)
        await soon(stopping)
