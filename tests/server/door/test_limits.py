"""What a peer of the door may take, each limit reached."""

import asyncio
import re
from contextlib import closing

import pytest

from server.door.limits import DoorLimits
from server.transport.held_bytes import HeldBytes
from tests.server.door.front import ANSWER, MIB, PATIENCE_S, Front, event, opened

BODY = b'{"model":"auto","messages":[{"role":"user","content":"What is the capital of France?"}]}'
STREAMED = BODY[:-1] + b',"stream":true}'


def post(body: bytes, *fields: bytes, path: bytes = b"/v1/chat/completions") -> bytes:
    lines = [b"POST %s HTTP/1.1" % path, b"host: a", b"content-length: %d" % len(body), *fields]
    return b"\r\n".join((*lines, b"", body))


async def reached(front: Front, limit: str, times: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while front.door.limits_reached.get(limit, 0) < times:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)


async def emptied(front: Front) -> None:
    """Nothing is left of any connection."""
    async with asyncio.timeout(PATIENCE_S):
        while front.door.connections or front.held.in_all:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)


async def test_a_connection_too_many_is_told_so_and_ended() -> None:
    async with opened(DoorLimits(connections_per_address_max=1)) as front:
        _, writer = await front.connect()
        with closing(writer):
            async with asyncio.timeout(PATIENCE_S):
                while front.door.connections < 1:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.005)
            answered = await front.exchange()
        assert answered.startswith(b"HTTP/1.1 429")
        assert b'"code": "OVERLOADED"' in answered
        assert front.door.limits_reached == {"connections_per_address": 1}
        await emptied(front)


async def test_connections_of_all_have_a_limit() -> None:
    async with opened(DoorLimits(connections_max=0)) as front:
        assert (await front.exchange()).startswith(b"HTTP/1.1 429")
        assert front.door.limits_reached == {"connections": 1}


async def test_a_head_too_large_is_refused() -> None:
    async with opened(DoorLimits(head_bytes_max=200)) as front:
        answered = await front.exchange(post(BODY, b"x: " + 200 * b"a"))
        assert answered.startswith(b"HTTP/1.1 413")
        assert b'"code": "PAYLOAD_TOO_LARGE"' in answered
        assert front.door.limits_reached == {"head_bytes": 1}


@pytest.mark.parametrize(("sent", "limit"), [(b"", "idle"), (b"POST /v1/ch", "head")])
async def test_who_sends_nothing_and_who_sends_half_a_head_are_ended(
    sent: bytes, limit: str
) -> None:
    async with opened(DoorLimits(idle_s_max=0.05, head_s_max=0.02)) as front:
        assert await front.exchange(sent) == b""
        assert front.door.limits_reached == {limit: 1}


async def test_a_head_that_comes_byte_by_byte_gains_no_time() -> None:
    async with opened(DoorLimits(head_s_max=0.2)) as front:
        reader, writer = await front.connect()
        with closing(writer):
            async with asyncio.timeout(PATIENCE_S):
                sent = iter(post(BODY))
                while not reader.at_eof():
                    writer.write(bytes([next(sent, 97)]))
                    await asyncio.wait((asyncio.create_task(reader.read(1)),), timeout=0.03)
        await reached(front, "head")


async def test_a_body_too_large_is_refused_before_it_is_sent() -> None:
    async with opened(DoorLimits(body_bytes_max=100, head_s_max=0.1)) as front:
        head = post(b"").replace(b"content-length: 0", b"content-length: 101")
        answered = await front.exchange(head)
        assert answered.startswith(b"HTTP/1.1 413")
        assert b"101 bytes: at most 100" in answered


async def test_a_body_in_chunks_that_becomes_too_large_is_refused() -> None:
    async with opened(DoorLimits(body_bytes_max=100, head_s_max=0.1)) as front:
        head = post(b"", b"connection: close")
        head = head.replace(b"content-length: 0", b"transfer-encoding: chunked")
        answered = await front.exchange(head + b"65\r\n" + bytes(101) + b"\r\n0\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 413")


async def test_a_body_that_takes_too_long_is_refused() -> None:
    async with opened(DoorLimits(body_s_max=0.05, head_s_max=0.05)) as front:
        answered = await front.exchange(post(BODY)[:-10])
        assert answered.startswith(b"HTTP/1.1 408")
        assert front.door.limits_reached == {"body": 1}


async def test_what_is_sent_ahead_of_an_answer_has_a_limit() -> None:
    async with opened(DoorLimits(ahead_bytes_max=1_000)) as front:
        front.model.open.clear()
        await front.exchange(post(BODY) + post(1_000 * b"a"))
        assert front.door.limits_reached == {"ahead": 1}
        await emptied(front)
        assert len(front.model.asked) <= 1


async def test_a_class_has_a_limit_of_its_own() -> None:
    async with opened() as front:
        body = b'{"model":"short","messages":[{"role":"user","content":"' + 200 * b"a" + b'"}]}'
        answered = await front.exchange(post(body, b"connection: close"))
        assert answered.startswith(b"HTTP/1.1 413")
        assert front.model.asked == []


async def test_a_reader_that_takes_nothing_of_an_answer_is_ended() -> None:
    async with opened(DoorLimits(stall_s_max=0.05)) as front:
        front.model.answer = ANSWER + bytes(16 * MIB)
        _, writer = await front.connect()
        with closing(writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(post(BODY))
            await reached(front, "stall")
        await emptied(front)


async def test_a_reader_that_takes_nothing_of_a_stream_holds_little_and_is_ended() -> None:
    piece = event(8_000 * "a")
    async with opened(DoorLimits(stall_s_max=0.2)) as front:
        front.model.pieces = (piece for _ in range(100_000))
        _, writer = await front.connect()
        with closing(writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(post(STREAMED))
            await reached(front, "stall")
        await emptied(front)
        async with asyncio.timeout(PATIENCE_S):
            await front.model.cancelled.wait()
        # What the kernels of both ends take on loopback is some 6 MiB.
        assert front.model.pulled * len(piece) < 16 * MIB


async def test_whoever_holds_too_much_gives_way() -> None:
    held = HeldBytes(bytes_max=MIB, in_all_max=8 * MIB)
    async with opened(held=held) as front:
        await front.exchange(post(bytes(2 * MIB))[:-1])
        assert front.door.limits_reached == {"held_bytes": 1}
        await emptied(front)


async def test_a_connection_retires_with_the_answer_after_its_time() -> None:
    async with opened(DoorLimits(age_s_max=0.0)) as front:
        answered = await front.exchange(post(BODY), post(BODY))
        assert len(re.findall(rb"HTTP/1.1 200", answered)) == 1
        assert b"connection: close" in answered.lower()


async def test_a_door_that_stops_sees_what_was_asked_through_and_ends_the_idle() -> None:
    async with opened() as front:
        front.model.open.clear()
        asking = asyncio.create_task(front.exchange(post(BODY)))
        idle, writer = await front.connect()
        async with asyncio.timeout(PATIENCE_S):
            await front.model.reached.wait()
            while front.door.connections < 2:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.005)
            stopping = asyncio.create_task(front.door.stop(PATIENCE_S))
            assert await idle.read() == b""
            front.model.open.set()
            await stopping
            assert b"Paris" in await asking
        writer.close()


async def test_a_door_that_stops_ends_what_takes_too_long() -> None:
    async with opened() as front:
        front.model.open.clear()
        asking = asyncio.create_task(front.exchange(post(BODY)))
        async with asyncio.timeout(PATIENCE_S):
            await front.model.reached.wait()
            await front.door.stop(0.01)
            assert await asking == b""
            await front.model.cancelled.wait()
