"""Connections that are idle, old or silent."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.grpc.methods import lasts
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.raw_caller import calling, echo, serving, soon, waiting
from tests.server.transport.turned_loop import TurnedLoop


async def test_an_idle_connection_is_asked_to_leave() -> None:
    limits = ServerLimits(idle_s_max=0.05)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            assert (await caller.call("Echo")).status == Code.OK
            await caller.left()
            assert await caller.ended() == []
        assert server.limits_reached == {"idle": 1}


def test_a_connection_with_short_calls_is_not_idle() -> None:
    loop = TurnedLoop()
    limits = ServerLimits(idle_s_max=300.0, age_s_max=10_000.0)

    async def play() -> None:
        async with serving(limits=limits, unary_Echo=echo) as (server, address):
            async with calling(address) as caller:
                for _ in range(10):
                    loop.ahead_s += 200.0
                    assert (await caller.call("Echo")).status == Code.OK
                assert server.limits_reached == {}
                loop.ahead_s += 300.0
                await caller.left()
            assert server.limits_reached == {"idle": 1}

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())


async def test_a_connection_retires_at_its_age_and_loses_no_call() -> None:
    servicer, began, go_on, _ = waiting()
    limits = ServerLimits(age_s_max=0.05)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Wait")
            caller.send(stream_id, framed(b"hello"), end=True)
            await soon(began.wait())
            assert await caller.left() == stream_id
            go_on.set()
            assert (await caller.answer(stream_id)).status == Code.OK
            assert await caller.ended() == []
        assert server.limits_reached == {"age": 1}


async def test_calls_that_outlive_their_connection_are_ended() -> None:
    servicer, _, _, cancelled = waiting()
    limits = ServerLimits(age_s_max=0.05, retirement_s_max=0.05)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            answer = await caller.call("Wait")
            assert answer.status == Code.UNAVAILABLE
            await soon(cancelled.wait())
        assert server.limits_reached == {"age": 1, "retirement": 1}


async def test_a_call_that_lasts_is_seen_through_when_the_others_of_its_connection_are_ended() -> (
    None
):
    lasting, began, go_on, cancelled = waiting()
    other, _, _, other_cancelled = waiting()
    limits = ServerLimits(age_s_max=0.05, retirement_s_max=0.05)
    both = serving(limits=limits, unary_Last=lasts(lasting), unary_Wait=other)
    async with both as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Last")
            caller.send(stream_id, framed(b"hello"), end=True)
            await soon(began.wait())
            assert (await caller.call("Wait")).status == Code.UNAVAILABLE
            await soon(other_cancelled.wait())
            assert not cancelled.is_set()
            go_on.set()
            assert (await caller.answer(stream_id)).status == Code.OK
            assert await caller.ended() == []
        assert server.limits_reached == {"age": 1, "retirement": 1}


async def test_a_peer_that_does_not_answer_is_given_up() -> None:
    servicer, _, _, cancelled = waiting()
    limits = ServerLimits(keepalive_s=0.05, keepalive_answer_s_max=0.05)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            caller.send(caller.begin("Wait"), framed(b""), end=True)
            await soon(cancelled.wait())  # the caller reads nothing, and so acknowledges nothing
        assert server.limits_reached == {"keepalive": 1}


async def test_a_peer_that_answers_is_not_given_up() -> None:
    servicer, _, go_on, _ = waiting()
    limits = ServerLimits(keepalive_s=0.01, keepalive_answer_s_max=10.0)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Wait")
            caller.send(stream_id, framed(b""), end=True)
            await caller.pinged()
            go_on.set()
            assert (await caller.answer(stream_id)).status == Code.OK
        assert server.limits_reached == {}


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("method", ["Unary", "Stream"])
def test_a_quiet_peer_that_answers_lives_through_many_rounds(
    make_loop: Callable[[], asyncio.AbstractEventLoop], method: str
) -> None:
    limits = ServerLimits(keepalive_s=0.01, keepalive_answer_s_max=10.0)
    wait, _, go_on, _ = waiting()

    async def watch(request: bytes, context: object) -> AsyncIterator[bytes]:
        yield await wait(request, context)

    async def play() -> None:
        async with serving(limits=limits, unary_Unary=wait, output_Stream=watch) as (
            server,
            address,
        ):
            async with calling(address) as caller:
                stream_id = caller.request(method, framed(b"x"))
                await caller.pinged(times=20)
                go_on.set()
                assert (await caller.answer(stream_id)).status == Code.OK
            assert server.limits_reached == {}

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(play())
