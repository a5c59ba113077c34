"""The acts: each changes the running service, and waits for the plan that follows."""

from google.protobuf.field_mask_pb2 import FieldMask

from benchmarks.demo.configuration import BUDGET, BULK, FLOORS, model_config
from benchmarks.demo.digit_stage import DigitStage
from benchmarks.demo.models import CHEAPEST, NEW_VERSION, OLD_VERSION
from benchmarks.demo.operator import add, drain, raise_floor
from benchmarks.demo.overload import TIMES, overload, ruled_out
from benchmarks.demo.stage import Act, share_of
from server.money import to_usd
from turnout.v1 import admin_pb2 as pb

_RAISED_FLOOR = 0.95
_BUDGET_LEFT = 0.5  # of what the traffic costs


async def find_the_mix(stage: DigitStage) -> None:
    await stage.plans.until(
        lambda plan: {one.traffic_class for one in plan.classes} >= FLOORS.keys(),
        "a plan for both classes",
    )


async def raise_a_floor(stage: DigitStage) -> None:
    await raise_floor(stage, BULK, _RAISED_FLOOR)


async def kill_the_cheapest(stage: DigitStage) -> None:
    stage.servers.kill(CHEAPEST)
    await stage.plans.until(
        lambda plan: share_of(plan, CHEAPEST) == 0, f"the plan does without {CHEAPEST}"
    )


async def cut_the_budget(stage: DigitStage) -> None:
    """To half of what the traffic costs for the rest of the period, whatever is left of that."""
    budget = next(one for one in stage.plans.latest.budgets if one.name == BUDGET)
    to_come = budget.expected_nano_usd - budget.spent_nano_usd
    amount = budget.spent_nano_usd + _BUDGET_LEFT * to_come
    request = pb.UpdateBudgetRequest(
        budget=pb.Budget(name=BUDGET, amount_usd=to_usd(amount)),
        update_mask=FieldMask(paths=["amount_usd"]),
    )
    await stage.admin.UpdateBudget(request)
    await stage.plans.until(_names_the_budget, f"the plan names what budget {BUDGET} costs")


async def replace_a_version(stage: DigitStage) -> None:
    await stage.servers.start(NEW_VERSION)
    port = await stage.servers.port_of(NEW_VERSION)
    await add(stage, model_config(NEW_VERSION, stage.study.measured[NEW_VERSION], port))
    await stage.plans.until(lambda plan: share_of(plan, NEW_VERSION) > 0, f"{NEW_VERSION} serves")
    await drain(stage, OLD_VERSION)
    await stage.plans.until(
        lambda plan: share_of(plan, OLD_VERSION) == 0, f"{OLD_VERSION} is drained"
    )
    await stage.servers.stop(OLD_VERSION)


ACTS = (
    Act("1: the plan finds a cheaper mix than always-best", find_the_mix, 13),
    Act(f"2: the floor of {BULK} rises to {_RAISED_FLOOR:.0%}", raise_a_floor, 14),
    Act(f"3: the process of {CHEAPEST}, the cheapest, is killed", kill_the_cheapest, 14),
    Act("4: the budget is cut to half of what the traffic costs", cut_the_budget, 14),
    Act(f"5: {NEW_VERSION} is added, {OLD_VERSION} is drained", replace_a_version, 14),
    Act(
        f"6: {TIMES:g} times as much comes as the one model that is left may take",
        overload,
        12,
        sheds=frozenset({BULK}),
        judge=ruled_out,
    ),
)


def _names_the_budget(plan: pb.Plan) -> bool:
    """It says that the budget is not enough."""
    budgets = [one for one in plan.budgets if one.name == BUDGET]
    return any(one.expected_nano_usd > one.amount_nano_usd for one in budgets)
