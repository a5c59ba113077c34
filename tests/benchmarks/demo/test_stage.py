"""How the demo follows the plan, and what it tells of it."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from benchmarks.demo.stage import Plans, PromiseBroken, sentences
from turnout.v1 import admin_pb2 as pb
from turnout.v1.admin_pb2_grpc import AdminServiceStub


class Planner:
    """An admin service that plans again and again."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure = ""

    async def get_plan(
        self,
        request: pb.GetPlanRequest,
        context: grpc.aio.ServicerContext[pb.GetPlanRequest, pb.GetPlanResponse],
    ) -> pb.GetPlanResponse:
        self.asked += 1
        prices = [pb.StepPrice(text="a price")] if self.asked == 1 else []
        plan = pb.Plan(id=str(self.asked), step_prices=prices, failure=self.failure)
        return pb.GetPlanResponse(plan=plan)


@pytest.fixture
def planner() -> Planner:
    return Planner()


@pytest.fixture
async def plans(planner: Planner) -> AsyncIterator[Plans]:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        planner.get_plan,
        request_deserializer=pb.GetPlanRequest.FromString,
        response_serializer=pb.GetPlanResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("turnout.v1.AdminService", {"GetPlan": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        found = Plans(AdminServiceStub(channel))
        following = asyncio.create_task(found.follow())
        yield found
        following.cancel()
    await server.stop(None)


async def test_a_plan_is_waited_for_until_it_holds(plans: Plans) -> None:
    await plans.until(lambda plan: plan.id == "2", "a second plan")
    assert plans.latest.id == "2"


async def test_a_plan_that_does_not_come_is_a_broken_promise(plans: Plans) -> None:
    with pytest.raises(PromiseBroken, match=r"^a third class, within 0\.1 s$"):
        await plans.until(lambda plan: len(plan.classes) > 2, "a third class", within_s=0.1)


async def test_a_broken_promise_says_why_the_service_does_not_plan(
    plans: Plans, planner: Planner
) -> None:
    planner.failure = "the solver is out"
    await plans.until(lambda plan: bool(plan.failure), "a failure")
    with pytest.raises(PromiseBroken, match="the solver is out"):
        await plans.until(lambda plan: False, "anything", within_s=0.1)


def step(kind: str, text: str, *, step: float = 0.01, cost: int | None = 5) -> pb.StepPrice:
    return pb.StepPrice(kind=kind, text=text, step=step, cost_nano_usd_per_day=cost)


def test_breaches_are_told_first_then_budgets_then_floors() -> None:
    plan = pb.Plan(
        breaches=[pb.Breach(text="a breach")],
        step_prices=[step("floor", "a floor"), step("capacity", "", cost=None)],
        budgets=[pb.PlanBudget(text="a budget")],
    )
    assert sentences(plan) == ("a breach", "a budget", "a floor")


def test_a_pace_of_this_moment_is_not_told_beside_what_a_budget_comes_to() -> None:
    plan = pb.Plan(
        breaches=[pb.Breach(kind="pace", text="a pace")], budgets=[pb.PlanBudget(text="a budget")]
    )
    assert sentences(plan) == ("a budget",)


def test_what_is_free_and_what_goes_down_is_not_told() -> None:
    free, down = step("slo", "free", cost=0), step("floor", "down", step=-0.01)
    assert sentences(pb.Plan(step_prices=[free, down])) == ()
