"""The control plane end to end: real services on a Unix socket, and a worker."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from optimizer.step_prices import StepPrice
from server.config.as_json import from_json
from server.config.live import updated
from server.control.corridor import solve_window
from server.control.window import Window
from tests.server.control.planes import (
    BOTH,
    MIX_85,
    MIX_90,
    about,
    quick,
    raise_floor,
    small_is,
)
from tests.server.control.served import (
    PATIENCE_S,
    Worker,
    control_plane,
    files_in,
    serving,
)
from tests.server.control.told import (
    AUTHOR,
    CODE,
    service,
)
from turnout.v1.admin_pb2 import (
    GetPlanRequest,
    Model,
    Plan,
    UpdateModelRequest,
)


def solved_at(plan: Plan) -> int:
    return plan.time.ToNanoseconds()


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
