"""Envoy and nginx in front of our server, in plaintext and with TLS; grpcio calls them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest

from benchmarks.floors.proxies import envoy, nginx
from benchmarks.sides import Certificate, Side
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.contract.caller import (
    TIMEOUT_S,
    duplex,
    failure,
    pairs,
    response_of,
    sizes,
    stream_in,
    stream_out,
    unary,
)
from tests.contract.service import ECHO_INITIAL, ECHO_TRAILING, TestService, order
from tests.peers.proxied import certificate, running
from tests.server.certificates import Authority, caller_credentials

REQUEST_SIZES = (27_182, 8, 1_828, 45_904)
RESPONSE_SIZES = (31_415, 9, 2_653, 58_979)
Proxy = Callable[[Path, str, Certificate | None], AbstractContextManager[Side]]

PROXIES: dict[str, Proxy] = {"envoy": envoy, "nginx": nginx}
NAMES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in PROXIES]

pytestmark = pytest.mark.slow


@pytest.fixture(params=NAMES)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return PROXIES[request.param]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def channel(
    request: pytest.FixtureRequest, proxy: Proxy, address: str, tmp_path: Path
) -> AsyncIterator[grpc.aio.Channel]:
    authority = Authority(tmp_path)
    shown = certificate(authority) if request.param else None
    async with running(proxy(tmp_path, address, shown)) as front:
        if shown:
            channel = grpc.aio.secure_channel(front, caller_credentials(authority))
        else:
            channel = grpc.aio.insecure_channel(front)
        async with channel:
            yield channel


async def test_large_messages(channel: grpc.aio.Channel) -> None:
    assert await unary(channel, "Unary", order(1_000_000, 1_000_000)) == bytes(1_000_000)


async def test_many_at_once(channel: grpc.aio.Channel) -> None:
    calls = [unary(channel, "Unary", order(size)) for size in range(300)]
    assert [len(response) for response in await asyncio.gather(*calls)] == list(range(300))


async def test_client_streaming(channel: grpc.aio.Channel) -> None:
    call = stream_in(channel, "Input", map(bytes, REQUEST_SIZES))
    assert await call == b"%d" % sum(REQUEST_SIZES)


async def test_server_streaming(channel: grpc.aio.Channel) -> None:
    call = stream_out(channel, "Output", " ".join(map(str, RESPONSE_SIZES)).encode())
    assert await sizes(call) == list(RESPONSE_SIZES)


async def test_ping_pong(channel: grpc.aio.Channel) -> None:
    call = duplex(channel, "Duplex")
    for request, response in zip(REQUEST_SIZES, RESPONSE_SIZES, strict=True):
        await call.write(order(response, request))
        assert len(await response_of(call)) == response
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_metadata_and_status(channel: grpc.aio.Channel) -> None:
    metadata = ((ECHO_INITIAL, "initial"), (ECHO_TRAILING, b"\xab\0\xab"))
    call = unary(channel, "Unary", order(1), metadata=metadata)
    await call
    assert metadata[0] in pairs(await call.initial_metadata())
    assert metadata[1] in pairs(await call.trailing_metadata())
    error = await failure(unary(channel, "Status", "9 précondition ☃".encode()))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "précondition ☃"


async def test_a_caller_that_leaves_is_noticed(
    channel: grpc.aio.Channel, service: TestService
) -> None:
    call = unary(channel, "Wait")
    async with asyncio.timeout(TIMEOUT_S):
        await service.waiting.wait()
        call.cancel()
        await service.cancelled.wait()


async def test_no_call_is_lost_when_our_connections_retire(
    proxy: Proxy, service: TestService, tmp_path: Path
) -> None:
    server = Server(ServerLimits(age_s_max=0.05), chance=lambda: 0.5)
    server.add_generic_rpc_handlers((service.handlers(),))
    address = await server.listen("127.0.0.1:0")
    async with (
        running(proxy(tmp_path, address, None)) as front,
        grpc.aio.insecure_channel(front) as channel,
    ):
        while server.limits_reached.get("age", 0) < 10:
            calls = [unary(channel, "Unary", order(size)) for size in range(20)]
            assert [len(answer) for answer in await asyncio.gather(*calls)] == list(range(20))
    await server.stop(0)
