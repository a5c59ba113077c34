"""A worker's pushes and outcomes on their way to the control plane, and what becomes of them."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.control.client import (
    SETTLED_AT_ONCE,
    ControlClient,
    control_channel,
)
from server.control.protocol import PROTOCOL
from server.routing.errors import ControlPlaneDown
from tests.server.control.scripted import scripted
from tests.server.control.told import push
from turnout.v1.routing_pb2 import Outcome


async def test_a_push_goes_out_under_the_workers_name(tmp_path: Path) -> None:
    async with scripted(tmp_path, []) as (servicer, worker):
        await worker.client.push(push(worker=""))
    (got,) = servicer.pushes
    assert (got.worker, got.protocol) == ("w0", PROTOCOL)


async def test_outcomes_are_answered_one_by_one(tmp_path: Path) -> None:
    outcomes = [Outcome(decision_id="d1"), Outcome(decision_id="d2")]
    async with scripted(tmp_path, []) as (servicer, worker):
        results = await worker.client.settle(outcomes)
    assert servicer.settled == outcomes
    assert [result.reason for result in results] == ["R", "R"]


async def test_outcomes_go_in_pieces_that_the_control_plane_takes(tmp_path: Path) -> None:
    count = 2 * SETTLED_AT_ONCE + 1
    outcomes = [Outcome(decision_id=f"d{n}", intent="x" * 4_000) for n in range(count)]
    async with scripted(tmp_path, []) as (servicer, worker):
        results = await worker.client.settle(outcomes)
    assert servicer.pieces == [SETTLED_AT_ONCE, SETTLED_AT_ONCE, 1]
    assert servicer.settled == outcomes
    assert [result.message for result in results] == [f"d{n}" for n in range(count)]


async def test_a_piece_that_fails_fails_them_all_and_says_that_they_may_be_told_again(
    tmp_path: Path,
) -> None:
    outcomes = [Outcome(decision_id=f"d{n}") for n in range(SETTLED_AT_ONCE + 1)]
    async with scripted(tmp_path, []) as (servicer, worker):
        servicer.fails_after = 1
        with pytest.raises(ControlPlaneDown, match="UNAVAILABLE"):
            await worker.client.settle(outcomes)
        assert servicer.settled == outcomes[:SETTLED_AT_ONCE]


async def test_no_outcomes_ask_nobody(tmp_path: Path) -> None:
    async with control_channel(f"unix:{tmp_path / 'none.sock'}") as channel:
        assert await ControlClient(channel, "w0").settle([]) == []


async def test_with_the_control_plane_gone_pushes_and_outcomes_say_so(tmp_path: Path) -> None:
    async with control_channel(f"unix:{tmp_path / 'none.sock'}") as channel:
        client = ControlClient(channel, "w0")
        with pytest.raises(ControlPlaneDown, match="UNAVAILABLE"):
            await client.push(push())
        with pytest.raises(ControlPlaneDown, match="UNAVAILABLE"):
            await client.settle([Outcome()])


async def test_a_control_plane_that_refuses_is_told_once_until_it_answers(tmp_path: Path) -> None:
    async with scripted(tmp_path, []) as (servicer, worker):
        with capture_logs() as logs:
            for servicer.refuses in (True, True, False, True):
                if servicer.refuses:
                    with pytest.raises(ControlPlaneDown, match="INVALID_ARGUMENT"):
                        await worker.client.settle([Outcome()])
                else:
                    await worker.client.settle([Outcome()])
    assert [(log["event"], log["details"]) for log in logs] == [
        ("control plane refuses", "another protocol")
    ] * 2
