"""Attacks are what they say they are, and keep to HTTP/2 where they mean to."""

import asyncio
import gzip
import math
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from benchmarks.soak import prepared, raw
from benchmarks.soak.attacker import attack
from benchmarks.soak.attacks import ATTACKS, Attack
from benchmarks.soak.attempts import Attempts
from benchmarks.soak.callers import INFER, REPORT, ROUTE
from benchmarks.soak.memory import MIB
from benchmarks.soak.raw import connected
from benchmarks.soak.session import Ended, request, session, zipped
from server.routing.errors import PayloadMalformed
from server.rpc.oip_tensors import read_tensors
from server.rpc.oip_wire import INPUTS, TENSORS_MAX, read_request
from server.transport.http2.hpack.decoder import Decoder
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from turnout.v1 import routing_pb2 as pb

BY_NAME = {one.name: one for one in ATTACKS}


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """Answers every call with what it was sent."""

    async def same(said: bytes, _context: Any) -> bytes:
        return said

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(same)
    server = Server(ServerLimits(message_bytes_max=16 * MIB), chance=random.random)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("turnout.v1.RoutingService", {"Infer": handler}),)
    )
    yield await server.listen("127.0.0.1:0")
    await server.stop(0)


async def test_calls_larger_than_the_windows_are_answered(echo: str) -> None:
    large = request(INFER, bytes(8 * MIB))
    async with connected(echo) as peer, session(peer) as made:
        assert [*await asyncio.gather(made.call(large), made.call(large))] == ["OK", "OK"]


async def test_an_answer_begins_and_goes_no_further_without_a_window(echo: str) -> None:
    async with connected(echo) as peer, session(peer, window=0) as made:
        await made.begin(request(INFER, bytes(MIB)))
        assert not made.why_over


async def test_a_connection_that_ends_ends_its_calls(hanging_up: str) -> None:
    async with connected(hanging_up) as peer, session(peer) as made:
        with pytest.raises(Ended):
            await made.call(request(ROUTE, b""))


async def test_whoever_attacks_may_be_hung_up_on(hanging_up: str) -> None:
    planned = Attack("calls", 2, math.inf, BY_NAME["harmless"].prepare)
    toll = await attack(planned, planned.prepare(), hanging_up, 0.2)
    assert toll.faults == []
    assert set(toll.outcomes) <= {"ended: closed without a word", "broken: ConnectionResetError"}


async def test_whoever_is_honest_may_not(hanging_up: str) -> None:
    planned = BY_NAME["large Reports"]
    toll = await attack(planned, planned.prepare(), hanging_up, 0.2)
    assert "UNAVAILABLE" in toll.faults[0]


def test_attacks_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(ATTACKS)


def test_a_round_that_comes_late_is_not_made_up_for() -> None:
    attempts = Attempts(rounds_per_s=10)
    assert [attempts.due_s(now_s) for now_s in (1.0, 1.0, 5.0)] == pytest.approx([1.0, 1.1, 5.0])


@pytest.mark.parametrize("make", [prepared.empty_parts, prepared.empty_capabilities])
def test_a_bomb_is_a_thousand_times_smaller(make: Callable[[int], bytes]) -> None:
    message = make(MIB)
    bomb = zipped(REPORT, message)
    assert gzip.decompress(b"".join(bomb.pieces)[5:]) == message
    assert bomb.size_bytes < MIB / 800
    assert pb.ReportRequest.FromString(prepared.empty_parts(10)).outcomes[4:] == [pb.Outcome()]


def test_many_fields_are_in_as_many_tensors_as_are_looked_at() -> None:
    request = read_request(prepared.many_fields(), field="")
    assert len(request.parts[INPUTS]) == TENSORS_MAX - 1
    with pytest.raises(PayloadMalformed, match="too many fields"):
        read_tensors(request, field="")


def test_costly_heads_are_within_what_a_list_of_headers_may_take() -> None:
    decoder, octets = Decoder(), prepared.costly_heads(20)
    heads = []
    while octets:
        end = raw.HEAD_BYTES + int.from_bytes(octets[:3])
        heads.append(decoder.decode(octets[raw.HEAD_BYTES : end]))
        octets = octets[end:]
    assert len(set(heads)) == 20
    assert sum(len(value) for _, value in heads[-1]) > 15_000


def test_the_worst_chat_is_within_what_a_chat_may_take() -> None:
    assert len(prepared.worst_chat()) <= 256 * 2**10


def test_a_large_report_is_as_large_as_it_is_meant_to_be() -> None:
    assert len(prepared.large_report(1_000 * [60 * "x"], 4 * MIB)) == 4 * MIB
