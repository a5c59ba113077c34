"""What a control plane keeps on the disk: it outlives the process, and damage is named."""

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from server.config.as_json import from_json
from server.control.budgets import period
from server.control.corridor import solve_window
from server.control.kept_file import write_whole
from server.control.plane import ControlPlane
from server.control.spent_file import SPENT_BYTES_MAX
from server.control.state_file import FILE_NAME, unpacked
from server.control.window import Window
from tests.server.control.planes import BOTH, MIX_85, MIX_90, about, quick, raise_floor, small_is
from tests.server.control.served import (
    PATIENCE_S,
    Worker,
    control_plane,
    files_in,
    no_prices,
    serving,
)
from tests.server.control.told import (
    KEY,
    NOW_S,
    decision_id,
    service,
    usage,
)
from turnout.v1.routing_pb2 import Outcome


async def test_a_disk_that_takes_nothing_stops_no_plan(tmp_path: Path) -> None:
    files = replace(files_in(tmp_path), state=tmp_path / "gone" / FILE_NAME)
    plane = ControlPlane(quick(), KEY, files, clock=time.time, pricer=no_prices)
    with capture_logs() as logs:
        async with serving(plane, tmp_path) as served:
            await Worker(served.channel).push(*BOTH)
            await served.planned(lambda plan: len(logs) > 1)
            plan = await served.planned(lambda plan: True)
    assert plan.failure == ""
    assert {log["event"] for log in logs} == {"what was learned cannot be kept"}


async def test_a_restarted_control_plane_has_a_new_epoch_and_the_live_configuration(
    tmp_path: Path,
) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        before = await worker.until(about(MIX_85))
        await raise_floor(served, 0.90)
        await worker.until(about(MIX_90))
    live = from_json(files_in(tmp_path).live_config.read_bytes())
    async with serving(control_plane(tmp_path, live), tmp_path) as served:
        again = Worker(served.channel)
        first = await again.next()
        await again.push(*BOTH)
        after = await again.until(about(MIX_90))
    assert first.epoch > before.epoch
    assert first.table is None  # so a worker goes on with the plan it has
    assert after.epoch == first.epoch


async def test_what_budgets_spent_outlives_the_control_plane(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        before = await served.planned(lambda plan: plan.budgets[0].spent_nano_usd > 0)
        await served.planned(lambda plan: files_in(tmp_path).state.exists())
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        await Worker(served.channel, "w1").push(*BOTH)
        spent = 2 * before.budgets[0].spent_nano_usd
        await served.planned(lambda plan: plan.budgets[0].spent_nano_usd == spent)


async def test_what_is_told_while_a_step_works_is_kept_with_the_next(tmp_path: Path) -> None:
    """Or an estimate would never hear of what counts as settled."""
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def solver(window: Window, deadline: Deadline) -> Solution | Failure:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait(PATIENCE_S)
        return solve_window(window, deadline)

    def settled() -> int:
        return len(unpacked(files_in(tmp_path).state.read_bytes()).plain["outcomes"]["rows"])

    plane = control_plane(tmp_path, service(window_s=3_600.0), solver=solver)
    async with serving(plane, tmp_path) as served, asyncio.timeout(PATIENCE_S):
        worker = Worker(served.channel)
        await worker.push(*BOTH, endpoints=small_is(ejected=True))  # which is planned for at once
        await begun.wait()
        outcome = Outcome(decision_id=decision_id(now_s=time.time()), usage=usage())
        await worker.client.settle([outcome])
        may_end.set()
        await served.planned(lambda _: files_in(tmp_path).state.exists())
        assert settled() == 0
        await worker.push(endpoints=small_is(ejected=False))
        await served.planned(lambda _: settled() == 1)


async def test_what_an_earlier_version_kept_of_budgets_is_read_once_and_replaced(
    tmp_path: Path,
) -> None:
    files, start_s = files_in(tmp_path), period("day", NOW_S)[0]
    write_whole(files.spent, b'{"team": {"start_s": %d, "nano_usd": 7}}' % start_s)
    plane = control_plane(tmp_path, quick(), clock=lambda: NOW_S)
    assert files.spent.exists()  # until it is kept as we do
    await plane.keep_files()
    assert not files.spent.exists()
    again = control_plane(tmp_path, quick(), clock=lambda: NOW_S + 1)
    assert again.values()["turnout.budget.spent"] == [({"budget": "team"}, 7e-9)]


DAMAGED = {
    "half": b"{",
    "deep": b"[" * 100_000,
    "long": b" " * SPENT_BYTES_MAX + b"{}",
    "a number no float holds": b'{"team": {"start_s": 1719878400, "nano_usd": 1%s}}' % (b"0" * 400),
    "no time": b'{"team": {"start_s": NaN, "nano_usd": 1}}',
    "not UTF-8": b'{"\xff": 1}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
async def test_a_damaged_file_of_what_was_spent_is_set_aside_and_named(
    tmp_path: Path, content: bytes
) -> None:
    spent = files_in(tmp_path).spent
    write_whole(spent, content)
    with capture_logs() as logs:
        plane = control_plane(tmp_path, quick())
    assert spent.with_name("spent.json.damaged").read_bytes() == content
    assert [entry["file"] for entry in logs] == [str(spent)]
    async with serving(plane, tmp_path) as served:
        await Worker(served.channel).push(*BOTH)
        plan = await served.planned(lambda plan: True)
    assert plan.budgets[0].spent_nano_usd == 40_000_000


async def test_a_file_of_what_was_spent_that_others_could_write_is_not_believed(
    tmp_path: Path,
) -> None:
    spent = files_in(tmp_path).spent
    write_whole(spent, b"{}")
    spent.chmod(0o666)
    control_plane(tmp_path, quick())
    assert not spent.exists()


async def test_kept_files_that_were_removed_are_written_again(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, quick())
    files = files_in(tmp_path)
    await plane.keep_files()
    live = files.live_config.read_bytes()
    files.live_config.unlink()
    files.state.unlink()
    await plane.keep_files()
    assert files.live_config.read_bytes() == live
    assert unpacked(files.state.read_bytes()).plain["spending"]["budgets"].keys() == {"team"}
