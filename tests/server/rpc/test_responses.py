"""What becomes of a decision on the wire: what is shared by many may hold nothing of one."""

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from server.config.classes import ClassConfig
from server.config.match import MatchConfig
from server.control.cell_messages import to_message
from server.dispatch.answers import Answer
from server.dispatch.exchange import Bytes
from server.routing.catalog import Cell
from server.routing.counters import Counters
from server.routing.decision import Decision
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.rpc import wire
from server.rpc.raw import whole
from server.rpc.responses import JOINED_BYTES_MAX, READ_MAX, Responses, batch_route
from tests.server.routing.configs import config, model
from tests.server.rpc.words import ANSWER
from turnout.v1 import routing_pb2 as pb

CHAT = pb.InferResponse.OPENAI_CHAT_FIELD_NUMBER
WORDED = {pb.InferResponse.TEXT_FIELD_NUMBER, CHAT, pb.InferResponse.FINISH_REASON_FIELD_NUMBER}
CELL = Cell("chat", "-", "other", "s0")
LABELLED = ClassConfig(
    name="chat", match=MatchConfig(labels={"app": ("shop",)}), default=True, audit_rate=0.5
)


def planned(*models: Any) -> Router:
    router = Router(Selector(), Sealer(bytes(KEY_BYTES), boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config(*models, classes=(LABELLED,)))
    plan(router, "p1")
    return router


def plan(router: Router, plan_id: str) -> None:
    router.publish(WeightTable(plan_id, {CELL: ((0, 0.5, 1_000), (1, 0.5, 9_000))}, {}))


def decided(router: Router, chance: float = 0.5, **query: Any) -> Decision:
    return router.decide(Query(**query), now_s=0, chance=chance)


def routed(responses: Responses, decision: Decision, number: int = 1) -> pb.RouteResponse:
    data = responses.route(decision, f"id{number}", f"r{number}")
    return pb.RouteResponse.FromString(data)


def expected(router: Router, decision: Decision, number: int) -> pb.RouteResponse:
    """Made in one go."""
    grounds = decision.grounds
    others = [router.target(index) for index in grounds.fallbacks]
    return pb.RouteResponse(
        decision_id=f"id{number}",
        plan_id=grounds.plan_id,
        cell=to_message(decision.reading.cell),
        target=target(decision.target),
        fallbacks=[target(other) for other in others],
        reason=pb.Reason(
            rule=decision.reading.rule,
            basis=pb.Basis.ValueType(grounds.pick.basis),
            text=decision.reason,
        ),
        expected_cost_nano_usd=grounds.pick.cost_nano_usd,
        reuse_for=Duration(),
        report_wanted=decision.audit_probability > 0,
        request_id=f"r{number}",
    )


def target(of: Any) -> pb.Target:
    return pb.Target(model=of.model.name, version=of.model.version, endpoint=of.endpoint)


@pytest.mark.parametrize(
    "endpoints", [(), ("a:1",), ("a:1", "a:2")], ids=["none", "one", "several"]
)
def test_every_decision_is_told_as_if_nothing_were_shared(endpoints: tuple[str, ...]) -> None:
    router = planned(model("small", endpoints=("s:1",)), model("large", endpoints=endpoints))
    responses = Responses(router)
    queries: list[dict[str, Any]] = [{}, {"labels": {"app": "shop"}}, {"input_tokens": 90_000}]
    for number in range(24):
        decision = decided(router, chance=number / 24, **queries[number % 3])
        assert routed(responses, decision, number) == expected(router, decision, number)


def test_what_a_new_plan_says_is_told_at_once() -> None:
    router = planned()
    responses = Responses(router)
    assert routed(responses, decided(router)).plan_id == "p1"
    plan(router, "p2")
    assert routed(responses, decided(router)).plan_id == "p2"


def test_of_several_endpoints_the_one_that_was_chosen_is_told() -> None:
    router = planned(model("small", endpoints=("a:1", "b:1")), model("large", enabled=False))
    responses = Responses(router)
    told = []
    for _ in range(2):
        decision = decided(router)
        router.endpoints.loads[0, decision.target.endpoint].in_flight += 1
        told.append(routed(responses, decision).target.endpoint)
    assert sorted(told) == ["a:1", "b:1"]


def test_what_was_read_of_one_request_is_not_said_of_another() -> None:
    router = planned()
    responses = Responses(router)
    shop = [decided(router, labels={"app": "shop"}) for _ in range(2)]
    rest = [decided(router) for _ in range(2)]
    texts = [routed(responses, decision).reason.text for decision in (*shop, *rest, *shop)]
    assert [text.startswith("rule chat matched") for text in texts] == [True] * 2 + [False] * 2 + [
        True
    ] * 2
    assert batch_route(shop[0], router).reason.text == shop[0].reason


def test_of_more_readings_than_are_kept_each_is_told_as_it_is() -> None:
    router = planned()
    responses = Responses(router)
    decision = decided(router)
    for number in [*range(2 * READ_MAX), *range(2 * READ_MAX)]:
        read = replace(decision, reading=decision.reading._replace(why=f"reading {number}; "))
        assert routed(responses, read).reason.text == read.reason
        data = whole(responses.infer(answered(read), ""))
        assert pb.InferResponse.FromString(data).reason.text == read.reason


def answered(decision: Decision, response: Bytes = b"", latency_s: float = 0.25) -> Answer:
    return Answer(response, decision, "id", decision.target, 2, 7, latency_s)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_100_000])
def test_an_endpoints_answer_is_told_to_the_byte(size: int) -> None:
    router = planned()
    data = Responses(router).infer(answered(decided(router), b"x" * size), "r1")
    response = pb.InferResponse.FromString(whole(data))
    assert response.WhichOneof("payload") == "oip_response"
    assert response.oip_response == b"x" * size


def test_a_large_answer_of_an_endpoint_is_not_copied() -> None:
    router, large = planned(), memoryview(bytes(JOINED_BYTES_MAX + 1))
    parts = Responses(router).infer(answered(decided(router), large), "r1")
    assert parts[-1] is large
    assert pb.InferResponse.FromString(whole(parts)).oip_response == large


def test_an_answered_infer_is_told_with_what_it_took() -> None:
    router = planned()
    responses = Responses(router)
    for number in range(4):
        decision = decided(router, input_tokens=number)
        response = pb.InferResponse.FromString(whole(responses.infer(answered(decision), "r1")))
        assert (response.decision_id, response.request_id, response.plan_id) == ("id", "r1", "p1")
        assert (response.attempts, response.cost_nano_usd) == (2, 7)
        assert response.target == target(decision.target)
        assert response.cell == to_message(CELL)
        assert response.reason.text == decision.reason
        assert response.usage.input_tokens == number
        assert response.usage.latency.ToMilliseconds() == 250


@given(st.floats(0, 1e6))
def test_a_time_goes_on_the_wire_to_the_nanosecond(seconds: float) -> None:
    router = planned()
    data = Responses(router).infer(answered(decided(router), latency_s=seconds), "")
    latency = pb.InferResponse.FromString(whole(data)).usage.latency
    assert latency.ToNanoseconds() == pytest.approx(seconds * 1e9, abs=2)


def fields(data: bytes) -> list[int]:
    """The numbers of a message's fields, as they stand on the wire."""
    return [tag >> 3 for tag, _, _ in wire.fields(data, 0, len(data), wire.Steps(1_000))]


def test_no_field_stands_twice_on_the_wire_for_not_every_reader_merges_messages() -> None:
    router = planned()
    responses = Responses(router)
    fallbacks = pb.RouteResponse.DESCRIPTOR.fields_by_name["fallbacks"].number
    for labels in ({}, {"app": "shop"}):
        decision = decided(router, chance=0.0, labels=labels, input_tokens=5)
        route = [n for n in fields(responses.route(decision, "id", "r1")) if n != fallbacks]
        infer = fields(whole(responses.infer(answered(decision, b"answer"), "r1")))
        assert (len(route), len(infer)) == (len(set(route)), len(set(infer)))
        said = answered(decision, ANSWER)
        text = fields(responses.worded(said, "r1", is_text=True))
        assert len(text) == len(set(text))
        numbers = set(pb.InferResponse.DESCRIPTOR.fields_by_number)
        assert set(infer) == numbers - WORDED
        assert set(text) == numbers - {pb.InferResponse.OIP_RESPONSE_FIELD_NUMBER, CHAT}


def test_a_target_says_what_its_endpoint_calls_the_model_where_that_is_another_name() -> None:
    router = planned(model("small", upstream_name="org/small-8b"), model("large"))
    router.publish(WeightTable("p2", {CELL: ((0, 1.0, 1_000),)}, {}))
    response = routed(Responses(router), decided(router))
    assert (response.target.model, response.target.upstream_name) == ("small", "org/small-8b")
    assert [other.upstream_name for other in response.fallbacks] == [""]
