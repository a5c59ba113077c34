"""What callers see of the two clients against a server that keeps the contract."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from server.wire import oip_pb2
from tests.client.both_clients import AnyClient, AnyClientClass, settled
from tests.client.contract_server import (
    COST_NANO_USD,
    FALLBACK,
    MODEL,
    PLAN_ID,
    REASON,
    ContractServicer,
)
from turnout import (
    Answer,
    AsyncClient,
    Cell,
    Client,
    DeadlineExceeded,
    Decision,
    InvalidRequest,
    Outcome,
    OutcomeResult,
    Reason,
    Target,
    Usage,
)
from turnout.channel import MESSAGE_BYTES_MAX

SMALL = Target(model=MODEL.model, version=MODEL.version, endpoint=MODEL.endpoint)
CELL = Cell(traffic_class="code", payer="team-a", domain="other", size_bucket="s0")
WHY = Reason(rule=REASON.rule, basis="plan", text=REASON.text)


async def test_route_answers_a_decision(client: AnyClient) -> None:
    decision = await settled(client.route(text="hello", traffic_class="code", request_id="r-1"))
    assert decision == Decision(
        decision_id="decision-1",
        plan_id=PLAN_ID,
        cell=CELL,
        target=SMALL,
        fallbacks=(
            Target(model=FALLBACK.model, version=FALLBACK.version, endpoint=FALLBACK.endpoint),
        ),
        reason=WHY,
        expected_cost_nano_usd=COST_NANO_USD,
        reuse_for_s=1.5,
        report_wanted=True,
        request_id="r-1",
    )


async def test_a_decision_gives_the_everyday_facts_by_short_names(client: AnyClient) -> None:
    decision = await settled(client.route(traffic_class="code"))
    assert (decision.model, decision.version, decision.endpoint) == ("small", "3", MODEL.endpoint)
    assert decision.traffic_class == "code"
    assert decision.expected_cost_usd == pytest.approx(0.0015)


async def test_a_dry_run_is_asked_for_as_such(
    client: AnyClient, servicer: ContractServicer
) -> None:
    decision = await settled(client.route(text="hello", dry_run=True))
    assert decision.decision_id == ""
    assert servicer.requests[0].dry_run  # type: ignore[union-attr]


async def test_infer_answers_what_the_endpoint_said_and_what_it_took(client: AnyClient) -> None:
    asked = oip_pb2.ModelInferRequest(id="i-1")
    answer = await settled(client.infer(asked, traffic_class="code", request_id="r-2"))
    assert answer == Answer(
        decision_id="decision-1",
        plan_id=PLAN_ID,
        cell=CELL,
        target=SMALL,
        reason=WHY,
        report_wanted=True,
        request_id="r-2",
        oip_response=oip_pb2.ModelInferResponse(id="i-1", model_name="small").SerializeToString(),
        usage=Usage(
            input_tokens=7,
            output_tokens=9,
            latency_s=0.25,
            cached_input_tokens=3,
            reasoning_tokens=2,
            estimated=True,
        ),
        cost_nano_usd=COST_NANO_USD,
        attempts=2,
    )
    assert answer.cost_usd == pytest.approx(0.0015)


async def test_an_answer_is_parsed_into_the_callers_own_class(client: AnyClient) -> None:
    asked = oip_pb2.ModelInferRequest(id="i-1")
    answer = await settled(client.infer(asked.SerializeToString()))
    assert answer.parse(oip_pb2.ModelInferResponse).id == "i-1"


async def test_a_report_that_is_counted_returns_quietly(
    client: AnyClient, servicer: ContractServicer
) -> None:
    await settled(client.report("d-1", quality=0.75))
    outcome = servicer.requests[0].outcomes[0]  # type: ignore[union-attr]
    assert [(grade.metric, grade.value) for grade in outcome.feedback] == [("quality", 0.75)]


async def test_a_report_that_is_refused_raises_its_reason(client: AnyClient) -> None:
    with pytest.raises(InvalidRequest, match="from 0 to 1") as raised:
        await settled(client.report("d-1", quality=-1.0))
    assert (raised.value.reason, raised.value.domain) == ("QUALITY_INVALID", "turnout")


async def test_report_many_says_of_each_outcome_whether_it_counted(client: AnyClient) -> None:
    once = Outcome(decision_id="d-1", latency_s=0.2)
    results = await settled(client.report_many([once, once]))
    assert results == (
        OutcomeResult(reason="", message=""),
        OutcomeResult(reason="USAGE_DUPLICATE", message="counted already"),
    )
    assert [result.counted for result in results] == [True, False]


async def test_a_call_takes_the_time_it_is_given(
    client: AnyClient, servicer: ContractServicer
) -> None:
    await settled(client.route(timeout_s=5))
    assert 0 < (servicer.times_remaining_s[0] or 0) < 5.1


async def test_a_call_takes_the_clients_time_where_it_is_given_none(
    client: AnyClient, servicer: ContractServicer
) -> None:
    await settled(client.route())
    assert 5.1 < (servicer.times_remaining_s[0] or 0) < 20.5


async def test_without_any_time_given_the_class_decides(
    client_class: AnyClientClass, address: str, servicer: ContractServicer
) -> None:
    client = client_class(address)
    await settled(client.route())
    await settled(client.close())
    year_s = 365 * 86_400.0
    assert (servicer.times_remaining_s[0] or year_s) >= year_s


async def test_a_call_ends_when_its_time_is_over(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.hang = threading.Event()
    with pytest.raises(DeadlineExceeded):
        await settled(client.infer(b"", timeout_s=0.05))


@pytest.mark.parametrize("timeout_s", [-1.0, float("nan")])
async def test_time_that_is_over_before_the_call_is_no_other_error(
    client: AnyClient, timeout_s: float
) -> None:
    with pytest.raises(DeadlineExceeded):
        await settled(client.route(timeout_s=timeout_s))


def test_a_client_is_closed_where_its_block_ends(address: str) -> None:
    with Client(address) as client:
        client.route()
    with pytest.raises(ValueError, match="closed"):
        client.route()


async def test_an_async_client_is_closed_where_its_block_ends(address: str) -> None:
    async with AsyncClient(address) as client:
        await client.route()
    with pytest.raises(grpc.aio.UsageError, match="closed"):
        await client.route()


def test_an_async_client_can_be_made_before_its_loop_runs(address: str) -> None:
    client = AsyncClient(address)

    async def route() -> Decision:
        async with client:
            return await client.route()

    assert asyncio.run(route()).model == "small"


def test_both_clients_have_the_same_methods_with_the_same_keywords() -> None:
    def methods(client: AnyClientClass) -> dict[str, list[inspect.Parameter]]:
        named = {name: each for name, each in vars(client).items() if not name.startswith("_")}
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in named.items()
        }

    assert methods(AsyncClient) == methods(Client)


def test_threads_share_a_client(address: str) -> None:
    names = [f"r-{number}" for number in range(200)]
    with Client(address) as client, ThreadPoolExecutor(16) as pool:
        decisions = pool.map(lambda name: client.route(request_id=name), names)
        assert [decision.request_id for decision in decisions] == names


async def test_tasks_share_a_client(address: str) -> None:
    names = [f"r-{number}" for number in range(200)]
    async with AsyncClient(address) as client:
        decisions = await asyncio.gather(*(client.route(request_id=name) for name in names))
    assert [decision.request_id for decision in decisions] == names


async def test_a_message_may_be_larger_than_grpcs_default(client: AnyClient) -> None:
    asked = oip_pb2.ModelInferRequest(id="x" * (5 << 20))
    answer = await settled(client.infer(asked))
    assert answer.parse(oip_pb2.ModelInferResponse).id == asked.id


async def test_a_message_beyond_the_services_own_limit_is_not_sent(
    client: AnyClient, servicer: ContractServicer
) -> None:
    with pytest.raises(InvalidRequest, match="larger than max"):
        await settled(client.infer(bytes(MESSAGE_BYTES_MAX)))
    assert servicer.requests == []


async def test_each_client_has_a_connection_of_its_own(
    client_class: AnyClientClass, address: str, servicer: ContractServicer
) -> None:
    clients = [client_class(address) for _ in range(2)]
    for client in clients:
        await settled(client.route())
    for client in clients:
        await settled(client.close())
    assert len(servicer.peers) == 2
