"""What a server makes of requests, good and bad, byte by byte."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.status_code import Code
from server.transport.grpc.messages import MessageBuffer, framed, framed_gzip
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import StreamReset
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.raw_caller import (
    Answer,
    calling,
    echo,
    head,
    serving,
    soon,
    waiting,
)

SMALL = ServerLimits(message_bytes_max=1_000)


def messages(data: bytes) -> list[bytes | memoryview]:
    buffer, found = MessageBuffer(2**24, gzip=True), []
    buffer.append(data)
    while (message := buffer.next()) is not None:
        found.append(message)
    assert buffer.is_between
    return found


async def total(requests: AsyncIterator[bytes], context: object) -> bytes:
    return b"%d" % sum([len(request) async for request in requests])


async def answered(
    data: bytes, *, cut: int = 1 << 20, limits: ServerLimits | None = None
) -> Answer:
    """What comes of a unary call with this request, cut into DATA frames of this size."""
    async with serving(limits=limits, unary_Echo=echo) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Echo", grpc_encoding="gzip")
        for start in range(0, len(data), cut):
            caller.send(stream_id, data[start : start + cut])
        caller.send(stream_id, b"", end=True)
        return await caller.answer(stream_id)


async def refused(method: str = "Echo", **changed: str) -> Answer:
    """What comes of a call with such a head, whose request never ends."""
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        stream_id = caller.begin(method, **changed)
        answer = await caller.answer(stream_id)
        assert (await caller.call("Echo", b"next")).data == framed(b"next")
        return answer


async def test_a_unary_call_is_answered() -> None:
    async with serving(unary_Echo=echo) as (server, address), calling(address) as caller:
        answer = await caller.call("Echo", b"hello")
        assert answer.head == {
            b":status": b"200",
            b"content-type": b"application/grpc",
            b"grpc-accept-encoding": b"identity,gzip",
        }
        assert answer.data == framed(b"hello")
        assert answer.trailers == {b"grpc-status": b"0"}
        assert (server.connections, server.calls) == (1, 1)


async def test_bytes_may_come_one_by_one() -> None:
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        stream_id = caller.http2.request(head("Echo"), framed(b"hello"))
        caller.answers[stream_id] = Answer()
        for byte in caller.http2.take_output():
            caller.writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await caller.answer(stream_id)).data == framed(b"hello")


@pytest.mark.parametrize("cut", [1, 3, 5, 7, 1_000])
@pytest.mark.parametrize("frame", [framed, framed_gzip])
async def test_a_request_may_be_cut_anywhere(cut: int, frame: "type[bytes]") -> None:
    answer = await answered(frame(b"hello" * 20), cut=cut)
    assert messages(answer.data) == [b"hello" * 20]


async def test_messages_may_be_joined() -> None:
    async with serving(input_Total=total) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Total")
        caller.send(stream_id, framed(b"1") + framed(b"22") + framed(b"333")[:4])
        caller.send(stream_id, framed(b"333")[4:], end=True)
        assert messages((await caller.answer(stream_id)).data) == [b"6"]


async def test_a_unary_request_without_a_message_is_refused() -> None:
    assert (await answered(b"")).status == Code.UNIMPLEMENTED


async def test_a_unary_request_without_data_is_refused() -> None:
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        answer = await caller.answer(caller.begin_and_end("Echo"))
        assert answer.status == Code.UNIMPLEMENTED


@pytest.mark.parametrize("cut", [1, 1_000])
async def test_a_unary_request_with_two_messages_is_refused(cut: int) -> None:
    answer = await answered(framed(b"1") + framed(b"2"), cut=cut)
    assert (answer.status, answer.data) == (Code.UNIMPLEMENTED, b"")


@pytest.mark.parametrize("size", [3, 8])
async def test_a_request_that_ends_inside_a_message_is_refused(size: int) -> None:
    assert (await answered(framed(b"hello")[:size])).status == Code.INTERNAL


async def test_a_stream_that_ends_inside_a_message_is_refused() -> None:
    async with serving(input_Total=total) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Total")
        caller.send(stream_id, framed(b"1") + b"\0", end=True)
        assert (await caller.answer(stream_id)).status == Code.INTERNAL


@pytest.mark.parametrize("size", [1_001, 100_000])
async def test_a_message_that_is_too_large_is_refused(size: int) -> None:
    answer = await answered(framed(bytes(size)), limits=SMALL)
    assert answer.status == Code.RESOURCE_EXHAUSTED


async def test_a_message_that_is_too_large_is_refused_by_its_prefix() -> None:
    async with serving(limits=SMALL, unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Echo")
            caller.send(stream_id, framed(bytes(1_001))[:5])
            assert (await caller.answer(stream_id)).status == Code.RESOURCE_EXHAUSTED
        assert server.limits_reached == {"message_bytes": 1}


async def test_a_bomb_stops_at_the_limit() -> None:
    answer = await answered(framed_gzip(bytes(2**20)), limits=SMALL)
    assert answer.status == Code.RESOURCE_EXHAUSTED


async def test_a_compressed_message_without_an_encoding_is_refused() -> None:
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Echo")
        caller.send(stream_id, framed_gzip(b"hello"), end=True)
        assert (await caller.answer(stream_id)).status == Code.INTERNAL


async def test_an_unknown_encoding_is_told_what_would_be_right() -> None:
    answer = await refused(grpc_encoding="snappy")
    assert answer.status == Code.UNIMPLEMENTED
    assert answer.head[b"grpc-accept-encoding"] == b"identity,gzip"


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "text/plain", ""])
async def test_another_content_type_is_refused_by_http(kind: str) -> None:
    answer = await refused(content_type=kind)
    assert answer.head == {b":status": b"415"}


@pytest.mark.parametrize(
    "kind", ["application/grpc+proto", "application/grpc;a=b", "Application/GRPC"]
)
async def test_a_content_type_may_name_a_format(kind: str) -> None:
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        assert (await caller.call("Echo", b"hello", content_type=kind)).status == Code.OK


async def test_another_http_method_is_refused_by_http() -> None:
    answer = await refused(http_method="GET")
    assert answer.head == {b":status": b"405", b"allow": b"POST"}


@pytest.mark.parametrize(
    "path", ["/raw.Test/Unheard", "/raw.Test", "/", "//", "/raw.Test/Echo/", "/raw.Test/echo"]
)
async def test_another_path_has_no_method(path: str) -> None:
    answer = await refused(path)
    assert (answer.status, answer.message) == (
        Code.UNIMPLEMENTED,
        f"there is no method {path}",
    )


@pytest.mark.parametrize("value", ["1", "x", "1s", "123456789S", "-1S"])
async def test_a_malformed_timeout_is_refused(value: str) -> None:
    assert (await refused(grpc_timeout=value)).status == Code.INTERNAL


async def test_a_caller_that_is_answered_early_is_told_to_stop() -> None:
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Unheard")
        assert (await caller.answer(stream_id)).status == Code.UNIMPLEMENTED
        assert (await caller.event(StreamReset)).code == ErrorCode.NO_ERROR


async def test_a_deadline_holds_while_the_request_comes() -> None:
    async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Echo", grpc_timeout="10m")
        assert (await caller.answer(stream_id)).status == Code.DEADLINE_EXCEEDED


async def test_a_deadline_that_is_past_when_it_comes_is_answered() -> None:
    servicer, _, _, cancelled = waiting()
    async with serving(unary_Wait=servicer) as (_, address), calling(address) as caller:
        assert (await caller.call("Wait", grpc_timeout="0n")).status == Code.DEADLINE_EXCEEDED
        await soon(cancelled.wait())


async def test_a_request_that_takes_too_long_is_ended() -> None:
    limits = ServerLimits(request_s_max=0.02)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Echo")
            caller.send(stream_id, framed(b"hello")[:4])
            answer = await caller.answer(stream_id)
            assert answer.status == Code.DEADLINE_EXCEEDED
            assert (await caller.call("Echo", b"others go on")).status == Code.OK
        assert server.limits_reached == {"request": 1}
