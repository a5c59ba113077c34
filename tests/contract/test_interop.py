"""The cases of the gRPC interop test descriptions, by a client of grpcio."""

import ast
import asyncio

import grpc
import pytest

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
from tests.contract.serving import MESSAGE_BYTES_MAX

REQUEST_SIZES = (27_182, 8, 1_828, 45_904)
RESPONSE_SIZES = (31_415, 9, 2_653, 58_979)


async def test_empty_unary(channel: grpc.aio.Channel) -> None:
    assert await unary(channel, "Empty") == b""


async def test_large_unary(channel: grpc.aio.Channel) -> None:
    assert await unary(channel, "Unary", order(314_159, 271_828)) == bytes(314_159)


async def test_many_at_once(channel: grpc.aio.Channel) -> None:
    calls = [unary(channel, "Unary", order(size)) for size in range(300)]
    assert [len(response) for response in await asyncio.gather(*calls)] == list(range(300))


async def test_client_streaming(channel: grpc.aio.Channel) -> None:
    call = stream_in(channel, "Input", map(bytes, REQUEST_SIZES))
    assert await call == b"%d" % sum(REQUEST_SIZES)


@pytest.mark.parametrize("method", ["Output", "OutputByWriting"])
async def test_server_streaming(channel: grpc.aio.Channel, method: str) -> None:
    request = " ".join(map(str, RESPONSE_SIZES)).encode()
    call = stream_out(channel, method, request)
    assert await sizes(call) == list(RESPONSE_SIZES)


@pytest.mark.parametrize("method", ["Duplex", "DuplexByReading"])
async def test_ping_pong(channel: grpc.aio.Channel, method: str) -> None:
    call = duplex(channel, method)
    for request, response in zip(REQUEST_SIZES, RESPONSE_SIZES, strict=True):
        await call.write(order(response, request))
        assert len(await response_of(call)) == response
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_requests_that_are_not_read_one_by_one(channel: grpc.aio.Channel) -> None:
    requests = [order(1, 200_000) for _ in range(20)]
    call = duplex(channel, "Duplex", requests)
    assert await sizes(call) == [1] * 20


async def test_empty_stream(channel: grpc.aio.Channel) -> None:
    call = duplex(channel, "Duplex")
    await call.done_writing()
    assert await sizes(call) == []
    assert await call.code() is grpc.StatusCode.OK


async def test_client_compressed_unary(channel: grpc.aio.Channel) -> None:
    request = order(314_159, 271_828)
    call = unary(channel, "Unary", request, compression=grpc.Compression.Gzip)
    assert await call == bytes(314_159)


async def test_client_compressed_streaming(channel: grpc.aio.Channel) -> None:
    call = stream_in(channel, "Input", map(bytes, REQUEST_SIZES), compression=grpc.Compression.Gzip)
    assert await call == b"%d" % sum(REQUEST_SIZES)


async def test_server_compressed_unary(channel: grpc.aio.Channel) -> None:
    assert await unary(channel, "Compressed", order(314_159)) == bytes(314_159)


async def test_cancel_after_begin(channel: grpc.aio.Channel) -> None:
    call = stream_in(channel, "Input")
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_cancel_after_first_response(channel: grpc.aio.Channel, service: TestService) -> None:
    call = duplex(channel, "Duplex")
    await call.write(order(31_415, 27_182))
    assert len(await response_of(call)) == 31_415
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED
    async with asyncio.timeout(TIMEOUT_S):
        await service.done.wait()


async def test_a_servicer_is_told_that_its_caller_has_left(
    channel: grpc.aio.Channel, service: TestService
) -> None:
    call = unary(channel, "Wait")
    async with asyncio.timeout(TIMEOUT_S):
        await service.waiting.wait()
        call.cancel()
        await service.cancelled.wait()
        await service.done.wait()


async def test_timeout_on_a_sleeping_server(
    channel: grpc.aio.Channel, service: TestService
) -> None:
    await unary(channel, "Empty")  # or the time might be over before there is a connection
    error = await failure(unary(channel, "Wait", timeout=0.2))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(TIMEOUT_S):
        await service.cancelled.wait()


async def test_a_servicer_knows_the_time_that_remains(channel: grpc.aio.Channel) -> None:
    # grpcio sends it a little longer.
    assert 0 < float(await unary(channel, "Remaining")) <= 1.1 * TIMEOUT_S


async def test_a_servicer_without_a_deadline_has_no_time_that_remains(
    channel: grpc.aio.Channel,
) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        assert await unary(channel, "Remaining", timeout=None) == b"None"


async def test_custom_metadata_of_a_unary_call(channel: grpc.aio.Channel) -> None:
    metadata = ((ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab"))
    call = unary(channel, "Unary", order(314_159), metadata=metadata)
    await call
    assert metadata[0] in pairs(await call.initial_metadata())
    assert metadata[1] in pairs(await call.trailing_metadata())


async def test_custom_metadata_of_a_stream(channel: grpc.aio.Channel) -> None:
    metadata = ((ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab"))
    call = duplex(channel, "Duplex", metadata=metadata)
    assert metadata[0] in pairs(await call.initial_metadata())
    await call.done_writing()
    assert await sizes(call) == []
    assert metadata[1] in pairs(await call.trailing_metadata())


async def test_a_servicer_sees_repeated_and_binary_metadata_and_nothing_of_the_transport(
    channel: grpc.aio.Channel,
) -> None:
    sent = (("a", "1"), ("a", "2"), ("b-bin", b"\0\xff"), ("b-bin", b""))
    seen = ast.literal_eval((await unary(channel, "Metadata", metadata=sent)).decode())
    assert [pair for pair in seen if pair[0] != "user-agent"] == sorted(sent)


async def test_status_code_and_message_of_a_unary_call(channel: grpc.aio.Channel) -> None:
    error = await failure(unary(channel, "Status", b"2 test status message"))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, "test status message")


async def test_status_code_and_message_of_a_stream(channel: grpc.aio.Channel) -> None:
    call = duplex(channel, "DuplexStatus")
    await call.write(b"2 test status message")
    assert await call.code() is grpc.StatusCode.UNKNOWN
    assert await call.details() == "test status message"


@pytest.mark.parametrize(
    "message",
    ["\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n", "100% of % is %25", ""],
)
async def test_special_status_message(channel: grpc.aio.Channel, message: str) -> None:
    error = await failure(unary(channel, "Status", f"2 {message}".encode()))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, message)


async def test_unimplemented_method(channel: grpc.aio.Channel) -> None:
    error = await failure(unary(channel, "Unheard"))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_unimplemented_service(channel: grpc.aio.Channel) -> None:
    error = await failure(unary(channel, "/contract.Unheard/Empty"))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_abort_carries_its_metadata(channel: grpc.aio.Channel) -> None:
    error = await failure(unary(channel, "Abort"))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "no")
    assert pairs(error.trailing_metadata()) == [("why", "so"), ("why-bin", b"\0")]


@pytest.mark.parametrize("method", ["Fail", "FailLate"])
async def test_a_servicer_that_raises(channel: grpc.aio.Channel, method: str) -> None:
    assert (await failure(unary(channel, method))).code() is grpc.StatusCode.UNKNOWN


async def test_a_servicer_that_raises_behind_its_first_response(channel: grpc.aio.Channel) -> None:
    call = stream_out(channel, "OutputThenFail")
    assert await call.read() == b"first"
    assert await call.code() is grpc.StatusCode.UNKNOWN


async def test_a_request_larger_than_messages_may_be(channel: grpc.aio.Channel) -> None:
    error = await failure(unary(channel, "Empty", bytes(MESSAGE_BYTES_MAX + 1)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_request_that_is_larger_once_inflated(channel: grpc.aio.Channel) -> None:
    request = bytes(MESSAGE_BYTES_MAX + 1)
    error = await failure(unary(channel, "Empty", request, compression=grpc.Compression.Gzip))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_response_larger_than_messages_may_be(channel: grpc.aio.Channel) -> None:
    error = await failure(unary(channel, "Unary", order(MESSAGE_BYTES_MAX + 1)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_largest_messages(channel: grpc.aio.Channel) -> None:
    head = len(order(MESSAGE_BYTES_MAX))
    request = order(MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX - head)
    assert await unary(channel, "Unary", request) == bytes(MESSAGE_BYTES_MAX)
