"""How a server stops, and what becomes of its calls."""

import asyncio
import socket

import pytest

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.http2.limits import Limits
from server.transport.serving.call import ServerCall
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.by_socket import accepted, over_tcp, server
from tests.server.transport.serving.raw_caller import (
    PATIENCE_S,
    calling,
    echo,
    serving,
    soon,
    waiting,
)


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
