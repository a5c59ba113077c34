"""The control plane end to end: real services on a Unix socket, and a worker."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from optimizer.step_prices import StepPrice
from server.config.as_json import from_json
from server.config.live import updated
from server.config.schema import Config
from server.control.budgets import period
from server.control.client import Snapshot
from server.control.corridor import solve_window
from server.control.kept_file import write_whole
from server.control.plane import ControlPlane
from server.control.spent_file import SPENT_BYTES_MAX
from server.control.state_file import FILE_NAME, unpacked
from server.control.window import Window
from server.routing.catalog import Cell
from server.routing.decision_id import Sealer
from tests.server.control.served import (
    PATIENCE_S,
    Served,
    Worker,
    control_plane,
    files_in,
    no_prices,
    serving,
)
from tests.server.control.told import (
    AUTHOR,
    CODE,
    KEY,
    NOW_S,
    answered,
    decision_id,
    service,
    usage,
)
from turnout.v1 import control_pb2 as pb
from turnout.v1.admin_pb2 import (
    GetPlanRequest,
    GetServerInfoRequest,
    Model,
    Plan,
    TrafficClass,
    UpdateClassRequest,
    UpdateModelRequest,
)
from turnout.v1.routing_pb2 import Attempt, Outcome

BOTH = (answered(CODE, "small", 20), answered(CODE, "large", 20))
# How much of the small model, with priors of 0.8 and 0.95, makes floors of 0.85 and 0.90 before any
# grade: planned with their margins they are 0.8875 and 0.925.
MIX_85, MIX_90 = 5 / 12, 1 / 6
ADDRESSES = ("127.0.0.1:1", "127.0.0.1:2")


def quick() -> Config:
    return service(window_s=0.05)


def share(model: int, cell: Cell = CODE) -> Callable[[Snapshot], float]:
    """Of a cell, what a snapshot gives a model; -1 without a plan for it."""

    def of(snapshot: Snapshot) -> float:
        row = None if snapshot.table is None else snapshot.table.cells.get(cell)
        return -1.0 if row is None else sum(share for index, share, _ in row if index == model)

    return of


def about(expected: float, model: int = 0) -> Callable[[Snapshot], bool]:
    return lambda snapshot: abs(share(model)(snapshot) - expected) < 0.02


def solved_at(plan: Plan) -> int:
    return plan.time.ToNanoseconds()


async def raise_floor(served: Served, floor: float) -> None:
    request = UpdateClassRequest(traffic_class=TrafficClass(name="code", floor=floor))
    request.update_mask.paths.append("floor")
    await served.admin.UpdateClass(request)


def small_is(ejected: bool) -> list[pb.EndpointStats]:
    return [pb.EndpointStats(model="small", address=a, ejected=ejected) for a in ADDRESSES]


async def test_the_mix_follows_the_floor(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        await worker.until(about(MIX_85))
        await raise_floor(served, 0.90)
        followed = await worker.until(about(MIX_90))
    assert followed.table is not None
    assert sum(share for _, share, _ in followed.table.cells[CODE]) == pytest.approx(1.0)


async def test_the_plan_of_a_decision_can_be_asked_for_when_another_has_taken_its_place(
    tmp_path: Path,
) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        before = (await worker.until(about(MIX_85))).table
        await raise_floor(served, 0.90)
        after = (await worker.until(about(MIX_90))).table
        assert before is not None
        assert after is not None
        earlier = (await served.admin.GetPlan(GetPlanRequest(plan_id=before.plan_id))).plan
        newest = (await served.admin.GetPlan(GetPlanRequest(plan_id=after.plan_id))).plan
    assert (earlier.id, earlier.classes[0].floor) == (before.plan_id, 0.85)
    assert (newest.id, newest.classes[0].floor) == (after.plan_id, 0.90)


async def test_a_plan_that_was_never_made_is_not_found(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.admin.GetPlan(GetPlanRequest(plan_id="1-1"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "another start" in str(raised.value.details())


async def test_an_update_is_in_force_before_it_is_planned_with(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, service(window_s=3_600.0)), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.next()
        await raise_floor(served, 0.90)
        snapshot = await worker.next()
    assert snapshot.config is not None
    assert snapshot.config.classes[0].floor == 0.90
    assert from_json(files_in(tmp_path).live_config.read_bytes()) == snapshot.config


async def test_a_model_without_an_endpoint_is_left_out_until_one_returns(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH, endpoints=small_is(ejected=False))
        await worker.until(about(MIX_85))
        await worker.push(endpoints=small_is(ejected=True))
        await worker.until(about(0.0))
        await worker.push(endpoints=small_is(ejected=False))
        await worker.until(about(MIX_85))


async def test_losing_a_models_last_endpoint_is_planned_for_at_once(tmp_path: Path) -> None:
    """Windows of an hour: what is planned here is planned because something happened."""
    plane = control_plane(tmp_path, service(window_s=3_600.0))
    async with serving(plane, tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH, endpoints=small_is(ejected=True))
        await worker.until(about(0.0))
        await worker.push(endpoints=small_is(ejected=False))
        await worker.until(about(MIX_85))


async def test_a_drained_model_gets_no_new_request(tmp_path: Path) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        await worker.until(about(MIX_85))
        request = UpdateModelRequest(model=Model(name="small", enabled=False))
        request.update_mask.paths.append("enabled")
        await served.admin.UpdateModel(request)
        await worker.until(about(0.0))


class Failing:
    """A solver that fails when told to, one way or the other."""

    def __init__(self, failure: Failure | Exception) -> None:
        self.failure = failure
        self.fails = False

    def __call__(self, window: Window, deadline: Deadline) -> Solution | Failure:
        if not self.fails:
            return solve_window(window, deadline)
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Failure("limit", "it took too long"), "limit: it took too long"),
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug"),
    ],
)
async def test_a_failing_solver_leaves_the_older_plan_in_force(
    tmp_path: Path, failure: Failure | Exception, told: str
) -> None:
    solver = Failing(failure)
    plane = control_plane(tmp_path, quick(), solver=solver)
    async with serving(plane, tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        await worker.until(about(MIX_85))
        with capture_logs() as logs:
            solver.fails = True
            older = await served.planned(lambda plan: plan.failure != "")
            newest = await Worker(served.channel, "w1").next()
            solver.fails = False
            healed = await served.planned(lambda plan: plan.failure == "")
    assert {log["log_level"] for log in logs} == {"error"}
    assert older.failure == told
    assert older.cells
    assert about(MIX_85)(newest)
    assert healed.time.ToNanoseconds() > older.time.ToNanoseconds()


async def test_a_plan_keeps_its_id_while_it_routes_alike_and_is_not_sent_to_workers_again(
    tmp_path: Path,
) -> None:
    async with serving(control_plane(tmp_path, quick()), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        first = await worker.until(about(MIX_85))
        assert first.table is not None
        told = await served.planned(lambda _: True)
        newer = await served.planned(lambda plan: solved_at(plan) > solved_at(told))
        same = await Worker(served.channel, "w1").next()
    assert newer.id == told.id == first.table.plan_id
    assert same.number == first.number


async def test_step_prices_come_after_the_plan_and_never_delay_it(tmp_path: Path) -> None:
    may_answer = threading.Event()

    def pricer(window: Window) -> Sequence[StepPrice]:
        may_answer.wait(PATIENCE_S)
        return [StepPrice("floor", "code", 0.01, 3_100_000_000)]

    async with serving(control_plane(tmp_path, quick(), pricer=pricer), tmp_path) as served:
        worker = Worker(served.channel)
        await worker.push(*BOTH)
        await worker.until(about(MIX_85))
        early = await served.planned(lambda plan: True)
        later = await served.planned(lambda plan: solved_at(plan) > solved_at(early))
        may_answer.set()
        priced = await served.planned(lambda plan: len(plan.step_prices) > 0)
    assert not early.step_prices
    assert not later.step_prices
    assert priced.step_prices[0].cost_nano_usd_per_day == 3_100_000_000
    assert priced.step_prices[0].text


async def test_a_plan_whose_prices_cannot_be_had_is_still_a_plan(tmp_path: Path) -> None:
    asked = []

    def pricer(window: Window) -> Sequence[StepPrice]:
        asked.append(window)
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with serving(control_plane(tmp_path, quick(), pricer=pricer), tmp_path) as served:
            await Worker(served.channel).push(*BOTH)
            plan = await served.planned(lambda plan: len(asked) > 1)
    assert plan.failure == ""
    assert "explaining failed" in [log["event"] for log in logs]


async def test_prices_of_an_older_configuration_are_not_shown(tmp_path: Path) -> None:
    may_answer = threading.Event()
    may_answer.set()

    def pricer(window: Window) -> Sequence[StepPrice]:
        may_answer.wait(PATIENCE_S)
        return [StepPrice("floor", "code", 0.01, 3_100_000_000)]

    async with serving(control_plane(tmp_path, quick(), pricer=pricer), tmp_path) as served:
        await Worker(served.channel).push(*BOTH)
        await served.planned(lambda plan: len(plan.step_prices) > 0)
        may_answer.clear()
        await raise_floor(served, 0.90)
        plan = await served.planned(lambda plan: plan.classes[0].floor == 0.90)
        may_answer.set()
    assert not plan.step_prices


async def test_an_update_whose_caller_gives_up_is_in_force_all_the_same(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, quick())
    first = asyncio.create_task(
        plane.update(
            lambda config: updated(config, "budgets", "team", {"amount_usd": 1.0}), by=AUTHOR
        )
    )
    await asyncio.sleep(0)
    first.cancel()
    config = await plane.update(
        lambda config: updated(config, "classes", "code", {"floor": 0.8}), by=AUTHOR
    )
    assert config.budgets[0].amount_usd == 1.0
    assert from_json(files_in(tmp_path).live_config.read_bytes()) == config


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


async def test_each_outcome_is_counted_or_refused_by_itself(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    sealed = decision_id()
    outcomes = [
        Outcome(decision_id=sealed, usage=usage()),
        Outcome(decision_id="forged", usage=usage()),
        Outcome(decision_id=sealed, usage=usage()),
    ]
    async with serving(plane, tmp_path) as served:
        results = await Worker(served.channel).client.settle(outcomes)
    assert [result.reason for result in results] == ["", "DECISION_INVALID", "USAGE_DUPLICATE"]
    assert all(result.message for result in results[1:])


async def test_an_outcome_that_names_a_model_that_is_not_is_refused_by_its_place(
    tmp_path: Path,
) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    sealed = decision_id()
    outcomes = [
        Outcome(decision_id=sealed, usage=usage(), attempts=[Attempt(model=name)])
        for name in ("smal", "small")
    ]
    async with serving(plane, tmp_path) as served:
        wrong, right = await Worker(served.channel).client.settle(outcomes)
    assert wrong.reason == "REQUEST_INVALID"
    assert wrong.message.startswith("attempts[0].model: there is no model 'smal'")
    assert right.reason == ""


async def test_a_report_that_is_told_again_is_counted_once(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    sealer = Sealer(KEY, 1)
    ids = [decision_id(sealer=sealer) for _ in range(3)]
    outcomes = [Outcome(decision_id=each, usage=usage()) for each in ids]
    async with serving(plane, tmp_path) as served:
        client = Worker(served.channel).client
        first = await client.settle(outcomes[:2])  # the piece that came through
        again = await client.settle(outcomes)
    assert [result.reason for result in first] == ["", ""]
    assert [result.reason for result in again] == ["USAGE_DUPLICATE", "USAGE_DUPLICATE", ""]


def test_callers_are_served_where_a_worker_says_so_whatever_others_have_not_said(
    tmp_path: Path,
) -> None:
    plane = control_plane(tmp_path, service(), clock=lambda: NOW_S)
    for worker, address in (("w0", ""), ("w1", "127.0.0.1:7080")):
        told = pb.PushStatsRequest(worker=worker, boot=worker, sequence=1, data_address=address)
        plane.push(told)
    assert plane.data_address() == "127.0.0.1:7080"


async def test_operators_see_which_workers_push(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    async with serving(plane, tmp_path) as served:
        nobody = await served.admin.GetServerInfo(GetServerInfoRequest())
        await Worker(served.channel).push(*BOTH)
        one = await served.admin.GetServerInfo(GetServerInfoRequest())
    assert (nobody.version, nobody.data_address, list(nobody.workers)) == ("0.1.0", "", [])
    assert one.data_address == "127.0.0.1:7080"
    (worker,) = one.workers
    assert (worker.name, worker.decided) == ("w0", 40)
    assert worker.last_push == one.started
