"""Envoy between our channel and servers of grpcio: what we call, it passes on."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.floors.proxies import envoy
from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed
from server.wire import oip_pb2
from tests.peers.proxied import running, told
from tests.server.running import answering, routing, write_config
from tests.server.running import serving as turnout
from tests.server.transport.channel.channel_peer import (
    INITIAL,
    SERVICE,
    TRAILING,
    Interop,
    asking,
    serving,
)
from turnout.v1 import routing_pb2

pytestmark = [pytest.mark.slow, pytest.mark.needs("envoy")]

PATIENCE_S = 20.0
SIZES = (31_415, 9, 2_653, 58_979)


def method(name: str) -> str:
    return f"/{SERVICE}/{name}"


def admin(folder: Path, *more: str) -> tuple[str, ...]:
    """Options that give Envoy an ear for orders."""
    socket = f"{{address: {{pipe: {{path: {folder / 'admin.sock'}}}}}}}"
    return ("--config-yaml", f"admin: {socket}", *more)


@pytest.fixture
def interop() -> Interop:
    return Interop()


@pytest.fixture
async def endpoint(interop: Interop) -> AsyncIterator[str]:
    async with serving(interop) as address:
        yield address


@pytest.fixture
async def channel(endpoint: str, tmp_path: Path) -> AsyncIterator[Channel]:
    async with running(envoy(tmp_path, endpoint)) as address:
        channel = Channel(address)
        yield channel
        await channel.close()


async def test_large_messages(channel: Channel) -> None:
    request = asking(2_000_000, body=2_000_000)
    answer = await channel.unary(method("Unary"), request, timeout_s=PATIENCE_S)
    assert answer == bytes(2_000_000)


async def test_many_at_once(channel: Channel) -> None:
    calls = (
        channel.unary(method("Unary"), asking(size), timeout_s=PATIENCE_S) for size in range(500)
    )
    assert [len(answer) for answer in await asyncio.gather(*calls)] == list(range(500))


async def test_server_streaming(channel: Channel) -> None:
    async with channel.stream(method("Output"), timeout_s=PATIENCE_S) as call:
        await call.send(asking(*SIZES))
        call.half_close()
        assert [len(answer) async for answer in call] == list(SIZES)


async def test_client_streaming(channel: Channel) -> None:
    async with channel.stream(method("Input"), timeout_s=PATIENCE_S) as call:
        for _ in range(50):
            await call.send(bytes(100_000))
        call.half_close()
        assert [answer async for answer in call] == [b"5000000"]


async def test_ping_pong(channel: Channel) -> None:
    async with channel.stream(method("Duplex"), timeout_s=PATIENCE_S) as call:
        for size in SIZES:
            await call.send(asking(size, body=size))
            assert len(await anext(call)) == size
        call.half_close()
        assert [answer async for answer in call] == []


async def test_metadata(channel: Channel) -> None:
    sent = ((INITIAL, "initial"), (TRAILING, b"\xab\0\xab"))
    call = channel.stream(method("Duplex"), timeout_s=PATIENCE_S, metadata=sent)
    call.half_close()
    assert sent[0] in await call.initial_metadata()
    assert [answer async for answer in call] == []
    assert sent[1] in call.trailing_metadata


async def test_a_status_with_its_words_and_metadata(channel: Channel) -> None:
    with pytest.raises(CallFailed) as raised:
        await channel.unary(method("Status"), "9:précondition ☃".encode(), timeout_s=PATIENCE_S)
    assert (raised.value.code, str(raised.value)) == (Code.FAILED_PRECONDITION, "précondition ☃")
    assert (TRAILING, b"\0\xff") in raised.value.metadata


async def test_a_cancelled_call_is_cancelled_behind_envoy(
    channel: Channel, interop: Interop
) -> None:
    call = asyncio.create_task(channel.unary(method("Held"), b"", timeout_s=PATIENCE_S))
    async with asyncio.timeout(PATIENCE_S):
        await interop.reached.wait()
        call.cancel()
        await interop.cancelled.wait()


async def test_a_deadline_is_told_behind_envoy(channel: Channel, interop: Interop) -> None:
    await channel.unary(method("Echo"), b"", timeout_s=PATIENCE_S)  # everyone is connected
    with pytest.raises(CallFailed) as raised:
        await channel.unary(method("Held"), b"", timeout_s=1.0)
    assert raised.value.code is Code.DEADLINE_EXCEEDED
    async with asyncio.timeout(PATIENCE_S):
        await interop.cancelled.wait()
    assert interop.time_left_s[0] is not None
    assert interop.time_left_s[0] <= 1.1


async def test_an_endpoint_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with running(envoy(tmp_path, "127.0.0.1:1")) as address:
        channel = Channel(address)
        with pytest.raises(CallFailed) as raised:
            await channel.unary(method("Echo"), b"", timeout_s=PATIENCE_S)
        await channel.close()
    assert raised.value.code is Code.UNAVAILABLE


async def test_no_call_is_lost_while_envoy_drains(endpoint: str, tmp_path: Path) -> None:
    options = admin(tmp_path, "--drain-strategy", "immediate")
    async with running(envoy(tmp_path, endpoint, options=options)) as address:
        channel = Channel(address)
        calls = asyncio.create_task(_echoed(channel, rounds=20))
        await told(tmp_path / "admin.sock", "POST /drain_listeners?graceful")
        await _echoed(channel, rounds=20)
        await calls
        counted = await told(tmp_path / "admin.sock", "GET /stats?filter=downstream_cx_drain_close")
        await channel.close()
    # Each is a connection that Envoy said GOAWAY on; without one this has shown nothing.
    assert sum(int(line.split()[-1]) for line in counted.splitlines() if "http.data" in line) > 1


async def test_calls_are_served_again_when_envoy_is_back(
    endpoint: str, interop: Interop, tmp_path: Path
) -> None:
    async with running(envoy(tmp_path, endpoint)) as address:
        channel = Channel(address)
        held = asyncio.create_task(channel.unary(method("Held"), b"", timeout_s=PATIENCE_S))
        async with asyncio.timeout(PATIENCE_S):
            await interop.reached.wait()
    with pytest.raises(CallFailed) as raised:
        await held
    assert raised.value.code is Code.UNAVAILABLE
    with pytest.raises(CallFailed, match="cannot be reached"):
        await channel.unary(method("Echo"), b"", timeout_s=PATIENCE_S)
    async with running(envoy(tmp_path, endpoint, address=address)):
        async with asyncio.timeout(PATIENCE_S):
            while not await _answers(channel):  # noqa: ASYNC110 - only asking again tells
                await asyncio.sleep(0.05)
        await _echoed(channel, rounds=2)
        await channel.close()


async def test_a_model_behind_envoy_is_asked(tmp_path: Path) -> None:
    async with (
        answering() as (_, endpoint),
        running(envoy(tmp_path, endpoint)) as address,
        turnout(
            write_config(tmp_path, address), tmp_path / "state", "--transport", "turnout"
        ) as service,
        routing(service.data) as stub,
    ):
        request = oip_pb2.ModelInferRequest(id="r9", raw_input_contents=[os.urandom(1_000_000)])
        answers = await asyncio.gather(
            *(
                stub.Infer(
                    routing_pb2.InferRequest(oip_request=request.SerializeToString()),
                    timeout=PATIENCE_S,
                )
                for _ in range(10)
            )
        )
    assert {answer.target.endpoint for answer in answers} == {address}
    seen = [oip_pb2.ModelInferResponse.FromString(answer.oip_response) for answer in answers]
    assert {(answer.model_name, answer.id) for answer in seen} == {("small", "r9")}


async def _echoed(channel: Channel, *, rounds: int) -> None:
    """Rounds of calls at once, each of which comes back; raises CallFailed."""
    for turn in range(rounds):
        said = [b"%d %d" % (turn, call) for call in range(25)]
        calls = (channel.unary(method("Echo"), one, timeout_s=PATIENCE_S) for one in said)
        assert await asyncio.gather(*calls) == said


async def _answers(channel: Channel) -> bool:
    try:
        await channel.unary(method("Echo"), b"", timeout_s=PATIENCE_S)
    except CallFailed:
        return False
    return True
