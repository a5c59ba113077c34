"""Answers that are none: what a caller hears of each."""

import pytest

from server.status_code import Code
from server.transport.channel.call import MESSAGE_BYTES_MAX
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed
from server.transport.http2.errors import ErrorCode
from tests.server.transport.channel.calling import begun, failure, under_way
from tests.server.transport.channel.raw_peer import (
    DATA,
    END_STREAM,
    GRPC_HEAD,
    RST_STREAM,
    Listening,
)

RESETS = {
    ErrorCode.NO_ERROR: Code.INTERNAL,
    ErrorCode.PROTOCOL_ERROR: Code.INTERNAL,
    ErrorCode.INTERNAL_ERROR: Code.INTERNAL,
    ErrorCode.FLOW_CONTROL_ERROR: Code.INTERNAL,
    ErrorCode.FRAME_SIZE_ERROR: Code.INTERNAL,
    ErrorCode.CANCEL: Code.CANCELLED,
    ErrorCode.COMPRESSION_ERROR: Code.INTERNAL,
    ErrorCode.CONNECT_ERROR: Code.INTERNAL,
    ErrorCode.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
    12345: Code.INTERNAL,
}


@pytest.mark.parametrize(("reset", "code"), RESETS.items())
async def test_a_reset_stream_has_the_status_that_grpc_gives_it(
    channel: Channel, server: Listening, reset: int, code: Code
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.reset(stream_id, reset)
    assert (await failure(call)).code is code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400", Code.INTERNAL),
        ("401", Code.UNAUTHENTICATED),
        ("403", Code.PERMISSION_DENIED),
        ("404", Code.UNIMPLEMENTED),
        ("418", Code.UNKNOWN),
        ("429", Code.UNAVAILABLE),
        ("502", Code.UNAVAILABLE),
        ("503", Code.UNAVAILABLE),
        ("504", Code.UNAVAILABLE),
    ],
)
async def test_an_answer_of_a_proxy_has_the_status_that_grpc_gives_it(
    channel: Channel, server: Listening, status: str, code: Code
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, ((":status", status), ("content-type", "text/plain")))
    peer.send(DATA, END_STREAM, stream_id, b"upstream connect error")
    failed = await failure(call)
    assert failed.code is code
    assert f"HTTP {status}" in str(failed)


async def test_a_status_of_grpc_counts_whatever_http_says(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, ((":status", "503"), ("grpc-status", "5")), END_STREAM)
    assert (await failure(call)).code is Code.NOT_FOUND


async def test_a_page_is_no_answer(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, ((":status", "200"), ("content-type", "text/html")))
    peer.send(DATA, END_STREAM, stream_id, b"<html>")
    failed = await failure(call)
    assert (failed.code, "text/html" in str(failed)) == (Code.UNKNOWN, True)


async def fail_with(
    channel: Channel, server: Listening, body: bytes, *trailers: tuple[str, str]
) -> CallFailed:
    """What comes of an answer with this body and these trailers."""
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    if body:
        peer.send(DATA, 0, stream_id, body)
    peer.trailers(stream_id, *trailers)
    return await failure(call)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"\0\0\0\0\x02x", id="half"),
        pytest.param(b"\0\0\0", id="half a prefix"),
        pytest.param(b"\0\0\0\0\x01x" * 2, id="two"),
        pytest.param(b"\0\0\0\0\x01x\0", id="one and a bit"),
        pytest.param(b"\x02\0\0\0\x01x", id="an unknown flag"),
        pytest.param(b"\x01\0\0\0\x01x", id="compressed, with no encoding named"),
    ],
)
async def test_an_answer_that_is_not_one_message_is_internal(
    channel: Channel, server: Listening, body: bytes
) -> None:
    assert (await fail_with(channel, server, body)).code is Code.INTERNAL


async def test_an_error_needs_no_message(channel: Channel, server: Listening) -> None:
    trailers = (("grpc-status", "5"), ("grpc-message", "no%20such%E2%98%BA"), ("x-why", "gone"))
    failed = await fail_with(channel, server, b"", *trailers)
    assert (failed.code, str(failed)) == (Code.NOT_FOUND, "no such\u263a")
    assert failed.metadata == (("x-why", "gone"),)


@pytest.mark.parametrize("status", ["99", "-1", "OK", "", "9" * 5_000])
async def test_a_status_that_grpc_does_not_have_is_unknown(
    channel: Channel, server: Listening, status: str
) -> None:
    failed = await fail_with(channel, server, b"\0\0\0\0\0", ("grpc-status", status))
    assert failed.code is Code.UNKNOWN


async def test_trailers_without_a_status_are_unknown(channel: Channel, server: Listening) -> None:
    failed = await fail_with(channel, server, b"\0\0\0\0\0", ("x-status", "0"))
    assert (failed.code, "without a grpc-status" in str(failed)) == (Code.UNKNOWN, True)


async def test_an_answer_without_trailers_is_unknown(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    peer.data(stream_id, b"well", END_STREAM)
    assert (await failure(call)).code is Code.UNKNOWN


async def test_an_encoding_that_nobody_offered_is_internal(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, (*GRPC_HEAD, ("grpc-encoding", "snappy")))
    failed = await failure(call)
    assert (failed.code, "snappy" in str(failed)) == (Code.INTERNAL, True)
    assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_what_gzip_did_not_make_is_internal(channel: Channel, server: Listening) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id, (*GRPC_HEAD, ("grpc-encoding", "gzip")))
    peer.send(DATA, 0, stream_id, b"\x01\0\0\0\x04junk")
    assert (await failure(call)).code is Code.INTERNAL


async def test_an_answer_beyond_the_limit_is_refused_by_its_prefix(
    channel: Channel, server: Listening
) -> None:
    call, peer, stream_id = await under_way(channel, server)
    peer.head(stream_id)
    peer.send(DATA, 0, stream_id, b"\0" + (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"))
    assert (await failure(call)).code is Code.RESOURCE_EXHAUSTED
    assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_a_request_beyond_the_limit_is_not_sent(channel: Channel, server: Listening) -> None:
    failed = await failure(begun(channel, bytes(MESSAGE_BYTES_MAX + 1)))
    assert failed.code is Code.RESOURCE_EXHAUSTED
    assert server.peers == []


async def test_metadata_that_cannot_be_sent_is_the_callers_fault(channel: Channel) -> None:
    with pytest.raises(ValueError, match="printable"):
        await begun(channel, metadata=(("x-a", "line\nbreak"),))
