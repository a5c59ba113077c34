"""What a channel connects over: TLS, IPv6 and Unix sockets."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed
from server.transport.sockets.tls import TlsFiles
from tests.server.certificates import Authority
from tests.server.transport.channel.channel_peer import SERVICE, Interop, serving

ECHO = f"/{SERVICE}/Echo"
WAIT_S = 20.0  # a limit for what takes milliseconds


async def echo(channel: Channel) -> bytes:
    return bytes(await channel.unary(ECHO, b"hello", timeout_s=WAIT_S))


@asynccontextmanager
async def channel_to(address: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Channel]:
    # A server of grpcio does not answer TLS's goodbye, nor close the socket.
    context = None if tls is None else lambda: tls
    made = Channel(address, tls=context, limits=ChannelLimits(goodbye_s=0.05))
    yield made
    await made.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    return authority.issue("server", "127.0.0.1", "localhost")


def trusting(authority: Authority, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(alpn or ["h2"])
    return context


def credentials(files: TlsFiles) -> grpc.ServerCredentials:
    key, cert = Path(files.key_file).read_bytes(), Path(files.cert_file).read_bytes()
    return grpc.ssl_server_credentials([(key, cert)])


async def test_ipv6() -> None:
    async with serving(Interop(), "[::1]:0") as address, channel_to(address) as channel:
        assert await echo(channel) == b"hello"


async def test_a_unix_socket(tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/model.sock"
    async with serving(Interop(), where) as address, channel_to(address) as channel:
        assert await echo(channel) == b"hello"


async def test_tls(authority: Authority, files: TlsFiles) -> None:
    async with (
        serving(Interop(), credentials=credentials(files)) as address,
        channel_to(address, trusting(authority)) as channel,
    ):
        assert await echo(channel) == b"hello"


async def test_tls_on_a_unix_socket_is_that_of_localhost(
    authority: Authority, files: TlsFiles, tmp_path: Path
) -> None:
    async with (
        serving(Interop(), f"unix:{tmp_path}/m", credentials=credentials(files)) as address,
        channel_to(address, trusting(authority)) as channel,
    ):
        assert await echo(channel) == b"hello"


async def test_a_certificate_that_is_not_trusted_is_unavailable(
    files: TlsFiles, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    async with (
        serving(Interop(), credentials=credentials(files)) as address,
        channel_to(address, trusting(other)) as channel,
    ):
        failed = await failure(channel)
    assert (failed.code, "certificate verify failed" in str(failed)) == (Code.UNAVAILABLE, True)


async def test_a_peer_whose_tls_does_not_speak_http2_is_unavailable(
    authority: Authority, files: TlsFiles
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    ended = asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(wait_for_the_end, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, channel_to(f"127.0.0.1:{port}", trusting(authority)) as channel:
        failed = await failure(channel)
        async with asyncio.timeout(WAIT_S):
            await ended.wait()
    assert (failed.code, "ALPN" in str(failed)) == (Code.UNAVAILABLE, True)


async def failure(channel: Channel) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await echo(channel)
    return failed.value
