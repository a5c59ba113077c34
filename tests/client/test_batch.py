"""Many requests in one call: each has its decision or its error, on both clients."""

import grpc
import pytest

from tests.client.both_clients import AnyClient, settled
from tests.client.contract_server import (
    COST_NANO_USD,
    FALLBACK,
    MODEL,
    PLAN_ID,
    REASON,
    ContractServicer,
    Refusal,
    overloaded,
)
from turnout import Cell, Decision, InvalidRequest, Reason, Target, Violation
from turnout.batch import batch_request, decisions
from turnout.v1 import routing_pb2 as pb


def decision(decision_id: str, traffic_class: str, **changes: object) -> Decision:
    said = {
        "decision_id": decision_id,
        "plan_id": PLAN_ID,
        "cell": Cell(traffic_class=traffic_class, payer="team-a", domain="other", size_bucket="s0"),
        "target": Target(model=MODEL.model, version=MODEL.version, endpoint=MODEL.endpoint),
        "fallbacks": (
            Target(model=FALLBACK.model, version=FALLBACK.version, endpoint=FALLBACK.endpoint),
        ),
        "reason": Reason(rule=REASON.rule, basis="plan", text=REASON.text),
        "expected_cost_nano_usd": COST_NANO_USD,
        "reuse_for_s": 1.5,
        "report_wanted": False,
        "request_id": "",
    }
    return Decision(**(said | changes))  # type: ignore[arg-type]


async def test_each_request_of_a_batch_has_its_decision_or_its_error(client: AnyClient) -> None:
    first, refused, last = await settled(
        client.route_batch(
            [
                {"text": "hello", "traffic_class": "code", "request_id": "r-1"},
                {"traffic_class": "nope"},
                {"input_tokens": 7},
            ]
        )
    )
    assert first == decision("decision-0", "code", report_wanted=True, request_id="r-1")
    assert last == decision("decision-2", "chat")
    assert isinstance(refused, InvalidRequest)
    assert (refused.reason, refused.domain) == ("CLASS_UNKNOWN", "turnout")
    assert refused.violations == (Violation("context.traffic_class", "no such class"),)


async def test_a_batch_says_what_each_route_would(
    client: AnyClient, servicer: ContractServicer
) -> None:
    await settled(client.route(text="hello", traffic_class="code", input_tokens=7))
    await settled(client.route(openai_chat={"messages": []}))
    await settled(
        client.route_batch(
            [
                {"text": "hello", "traffic_class": "code", "input_tokens": 7},
                {"openai_chat": {"messages": []}},
            ]
        )
    )
    *singles, batch = servicer.requests
    assert list(batch.requests) == singles  # type: ignore[union-attr]


async def test_an_empty_batch_is_answered_by_nothing(client: AnyClient) -> None:
    assert await settled(client.route_batch([])) == []


async def test_a_batch_is_sent_again_while_turnout_is_overloaded(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.extend([overloaded(), overloaded()])
    answers = await settled(client.route_batch([{"text": "hello"}]))
    assert len(answers) == 1
    assert len(servicer.requests) == 3


async def test_what_holds_for_the_whole_batch_raises(
    client: AnyClient, servicer: ContractServicer
) -> None:
    servicer.refusals.append(Refusal(grpc.StatusCode.INVALID_ARGUMENT))
    with pytest.raises(InvalidRequest):
        await settled(client.route_batch([{"text": "hello"}]))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"txt": "hello"}, TypeError),
        ({"input_tokens": -1}, ValueError),
        ({"text": "a", "oip_request": b"b"}, ValueError),
        ({"dry_run": True}, TypeError),
    ],
)
def test_a_wrong_argument_is_told_with_its_place_in_the_batch(
    wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"requests\[1\]: "):
        batch_request([{"text": "a"}, wrong])  # type: ignore[list-item]


def test_an_error_of_a_code_that_gRPC_does_not_have_is_still_an_error() -> None:  # noqa: N802
    response = pb.RouteBatchResponse(results=[pb.BatchResult(refusal=pb.Refusal(code=99))])
    (answer,) = decisions(response)
    assert isinstance(answer, Exception)
