"""Connections with TLS: what a handshake may cost, and how one that fails is told."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.limit_log import LINES_MAX
from server.transport.serving.holding import TLS_BYTES, TLS_COPIES
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from server.transport.sockets.tls import TlsFiles, server_context
from tests.server.certificates import Authority
from tests.server.transport.serving.by_socket import over_tcp, pair, server
from tests.server.transport.serving.raw_caller import (
    HOST,
    calling,
    soon,
)


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
