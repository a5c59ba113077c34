import asyncio
from contextlib import suppress

import pytest

from optimizer.estimate.account import FloorAccount
from server.config import to_json
from server.control.explainer import Explainer
from server.control.knowledge import Knowledge
from server.control.publisher import Publisher
from server.control.replanner import Replanner, solve_window
from tests.server.control.served import PATIENCE_S, no_prices
from tests.server.control.told import CODE, NOW_S, answered, push, service
from turnout.v1.admin_pb2 import Plan


async def first_plan(knowledge: Knowledge) -> Plan:
    """What one window makes of this, while the clock stands still."""
    replanner = Replanner(
        knowledge,
        Publisher(7, to_json(knowledge.config)),
        Explainer(no_prices),
        epoch=7,
        clock=lambda: NOW_S,
        solver=solve_window,
    )
    running = asyncio.create_task(replanner.run())
    replanner.wake()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if replanner.plan is not None:
                break
            await asyncio.sleep(0.001)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return replanner.plan


@pytest.mark.parametrize(("floor", "owed"), [(0.85, True), (0.99, False)])
async def test_a_floor_out_of_reach_runs_up_no_debt(floor: float, owed: bool) -> None:
    classes = ({"name": "code", "default": True, "floor": floor},)
    knowledge = Knowledge(service(classes=classes))
    knowledge.pushed(push(answered(CODE, "small", 20)), now_s=NOW_S)
    await first_plan(knowledge)
    account = knowledge.accounts["code", "team"]
    for _ in range(100):
        account.told(0.0, 1.0, decided_s=NOW_S, now_s=NOW_S)
    assert (account.required(floor, NOW_S) > floor) is owed


async def test_a_debt_is_paid_while_the_floor_that_it_raised_is_out_of_reach() -> None:
    classes = ({"name": "code", "default": True, "floor": 0.94},)  # the best model reaches 0.95
    knowledge = Knowledge(service(classes=classes))
    knowledge.pushed(push(answered(CODE, "small", 20)), now_s=NOW_S)
    account = knowledge.accounts.setdefault(("code", "team"), FloorAccount(0.94))
    for _ in range(100):
        account.told(0.0, 1.0, decided_s=NOW_S, now_s=NOW_S)
    owed = account.required(0.94, NOW_S)
    assert owed > 0.95
    plan = await first_plan(knowledge)
    assert "floor" not in {breach.kind for breach in plan.breaches}  # only 0.94 was promised
    for _ in range(4_000):
        account.told(1.0, 1.0, decided_s=NOW_S, now_s=NOW_S)
    assert account.required(0.94, NOW_S) < owed


async def test_what_is_shed_runs_up_no_debt() -> None:
    small = {"requests_per_s": 0.1}
    models = tuple(
        model.model_dump() | {"capacity": small} for model in service(window_s=3_600.0).models
    )
    knowledge = Knowledge(service(models=models))
    knowledge.pushed(push(answered(CODE, "small", 2_000)), now_s=NOW_S)
    plan = await first_plan(knowledge)
    assert plan.classes[0].shed > 0.5
    account = knowledge.accounts["code", "team"]
    account.told(0.0, 1.0, decided_s=NOW_S, now_s=NOW_S)
    assert account.required(0.85, NOW_S) == 0.85


async def test_plans_of_one_control_plane_have_ids_of_its_epoch() -> None:
    knowledge = Knowledge(service())
    knowledge.pushed(push(answered(CODE, "small", 20)), now_s=NOW_S)
    assert (await first_plan(knowledge)).id == "7-1"
