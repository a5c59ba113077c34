"""The cases of gRPC's interop test descriptions: our channel as the client of a grpcio server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed
from tests.server.transport.channel.channel_peer import (
    INITIAL,
    SERVICE,
    TRAILING,
    Interop,
    asking,
    serving,
)

SIZES = (31_415, 9, 2_653, 58_979)
BODIES = (27_182, 8, 1_828, 45_904)
WAIT_S = 20.0  # a limit for what takes milliseconds


@pytest.fixture
def interop() -> Interop:
    return Interop()


@pytest.fixture
async def channel(interop: Interop) -> AsyncIterator[Channel]:
    async with serving(interop) as address:
        made = Channel(address)
        yield made
        await made.close()


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


async def unary(channel: Channel, method: str, request: bytes) -> bytes:
    return bytes(await channel.unary(path(method), request, timeout_s=WAIT_S))


async def fail(
    channel: Channel, method: str, request: bytes, timeout_s: float = WAIT_S
) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await channel.unary(path(method), request, timeout_s=timeout_s)
    return failed.value


async def test_empty_unary(channel: Channel) -> None:
    assert await unary(channel, "Echo", b"") == b""


async def test_large_unary(channel: Channel) -> None:
    assert await unary(channel, "Unary", asking(314_159, body=271_828)) == bytes(314_159)


async def test_client_compressed_is_not_sent_and_server_compressed_unary_is_read(
    channel: Channel,
) -> None:
    assert await unary(channel, "Compressed", asking(314_159)) == bytes(314_159)


async def test_client_streaming(channel: Channel) -> None:
    async with channel.stream(path("Input"), timeout_s=WAIT_S) as call:
        for size in BODIES:
            await call.send(bytes(size))
        call.half_close()
        assert [message async for message in call] == [b"74922"]


async def test_server_streaming(channel: Channel) -> None:
    async with channel.stream(path("Output"), timeout_s=WAIT_S) as call:
        await call.send(asking(*SIZES))
        call.half_close()
        assert [len(message) async for message in call] == [*SIZES]


async def test_server_compressed_streaming(channel: Channel) -> None:
    async with channel.stream(path("CompressedOutput"), timeout_s=WAIT_S) as call:
        await call.send(asking(31_415, 92_653))
        call.half_close()
        assert [message async for message in call] == [bytes(31_415), bytes(92_653)]


async def test_ping_pong(channel: Channel) -> None:
    async with channel.stream(path("Duplex"), timeout_s=WAIT_S) as call:
        for size, body in zip(SIZES, BODIES, strict=True):
            await call.send(asking(size, body=body))
            assert await anext(call) == bytes(size)
        call.half_close()
        assert [message async for message in call] == []


async def test_empty_stream(channel: Channel) -> None:
    async with channel.stream(path("Duplex"), timeout_s=WAIT_S) as call:
        call.half_close()
        assert [message async for message in call] == []


async def test_cancel_after_begin(channel: Channel, interop: Interop) -> None:
    async with channel.stream(path("Input"), timeout_s=WAIT_S) as call:
        await call.send(b"first")
        await reached(interop.reached)
        call.cancel()
        with pytest.raises(CallFailed) as failed:
            await anext(call)
        assert failed.value.code is Code.CANCELLED
    await reached(interop.ended)


async def test_cancel_after_first_response(channel: Channel, interop: Interop) -> None:
    async with channel.stream(path("Duplex"), timeout_s=WAIT_S) as call:
        await call.send(asking(SIZES[0], body=BODIES[0]))
        assert await anext(call) == bytes(SIZES[0])
        call.cancel()
        with pytest.raises(CallFailed) as failed:
            await anext(call)
        assert failed.value.code is Code.CANCELLED
    await reached(interop.ended)


async def test_a_cancelled_unary_call_is_cancelled_at_the_server(
    channel: Channel, interop: Interop
) -> None:
    call = asyncio.create_task(unary(channel, "Held", b""))
    await reached(interop.reached)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await reached(interop.cancelled)


async def test_timeout_on_sleeping_server(channel: Channel) -> None:
    async with channel.stream(path("Duplex"), timeout_s=0.05) as call:
        with contextlib.suppress(CallFailed):  # it may be over by now
            await call.send(b":27182")
        with pytest.raises(CallFailed) as failed:
            await anext(call)
    assert failed.value.code is Code.DEADLINE_EXCEEDED


async def test_a_unary_call_is_left_at_its_deadline(channel: Channel, interop: Interop) -> None:
    assert (await fail(channel, "Held", b"", 0.05)).code is Code.DEADLINE_EXCEEDED


async def test_the_server_is_told_the_time_left(channel: Channel, interop: Interop) -> None:
    interop.go_on.set()
    await unary(channel, "Held", b"")
    (left_s,) = interop.time_left_s
    assert left_s is not None
    assert 0 < left_s <= WAIT_S * 1.02  # rounded up on the wire


async def test_without_a_timeout_the_server_is_told_none(
    channel: Channel, interop: Interop
) -> None:
    interop.go_on.set()
    await channel.unary(path("Held"), b"", timeout_s=None)
    (left_s,) = interop.time_left_s
    assert left_s is None or left_s > 1e6


METADATA = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))


async def test_custom_metadata(channel: Channel) -> None:
    async with channel.stream(path("Duplex"), timeout_s=WAIT_S, metadata=METADATA) as call:
        await call.send(asking(314_159, body=271_828))
        assert METADATA[0] in await call.initial_metadata()
        assert await anext(call) == bytes(314_159)
        call.half_close()
        assert [message async for message in call] == []
        assert METADATA[1] in call.trailing_metadata


async def test_status_code_and_message_of_a_unary_call(channel: Channel) -> None:
    failed = await fail(channel, "Status", b"2:test status message")
    assert (failed.code, str(failed)) == (Code.UNKNOWN, "test status message")
    assert (TRAILING, b"\0\xff") in failed.metadata


async def test_status_code_and_message_of_a_stream(channel: Channel) -> None:
    async with channel.stream(path("DuplexStatus"), timeout_s=WAIT_S) as call:
        await call.send(b"2:test status message")
        call.half_close()
        with pytest.raises(CallFailed) as failed:
            await anext(call)
    assert (failed.value.code, str(failed.value)) == (Code.UNKNOWN, "test status message")


async def test_special_status_message(channel: Channel) -> None:
    words = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
    failed = await fail(channel, "Status", f"2:{words}".encode())
    assert (failed.code, str(failed)) == (Code.UNKNOWN, words)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
async def test_every_status_is_told(channel: Channel, code: grpc.StatusCode) -> None:
    number: int = code.value[0]
    failed = await fail(channel, "Status", f"{number}:no".encode())
    assert (failed.code.name, str(failed)) == (code.name, "no")


async def test_unimplemented_method(channel: Channel) -> None:
    assert (await fail(channel, "Missing", b"")).code is Code.UNIMPLEMENTED


async def test_unimplemented_service(channel: Channel) -> None:
    with pytest.raises(CallFailed) as failed:
        await channel.unary("/turnout.testing.Missing/Echo", b"", timeout_s=WAIT_S)
    assert failed.value.code is Code.UNIMPLEMENTED


async def test_a_hundred_calls_at_once_get_each_its_own_answer(channel: Channel) -> None:
    asked = [str(number).encode() for number in range(100)]
    answers = await asyncio.gather(*(unary(channel, "Echo", request) for request in asked))
    assert answers == asked


async def test_a_request_in_parts_is_one_message(channel: Channel) -> None:
    parts = (b"one", bytes(200_000), b"three")
    assert await channel.unary(path("Echo"), parts, timeout_s=WAIT_S) == b"".join(parts)


async def reached(event: asyncio.Event) -> None:
    async with asyncio.timeout(WAIT_S):
        await event.wait()
