"""What operators are shown."""

from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.control.views import model_statuses, workers
from tests.server.control.told import (
    CODE,
    KEY,
    NOW_S,
    decision_id,
    push,
    service,
    stats,
    usage,
)
from turnout.v1.control_pb2 import EndpointStats, ListenerStats
from turnout.v1.routing_pb2 import Outcome


def test_workers_are_listed_by_name_whoever_pushed_first() -> None:
    knowledge = Knowledge(service())
    for name in ("worker-10", "worker-2", "worker-0"):
        knowledge.count_push(push(worker=name, listener=ListenerStats(connections=3)), now_s=NOW_S)
    shown = [(worker.name, worker.connections) for worker in workers(knowledge)]
    assert shown == [("worker-0", 3), ("worker-2", 3), ("worker-10", 3)]


def test_a_model_is_shown_with_what_callers_have_not_reported_of_it() -> None:
    knowledge = Knowledge(service())
    routed = stats(CODE, "small", decided=3, unreported=3, unreported_nano_usd=3_000_000)
    knowledge.count_push(push(routed), now_s=NOW_S)
    settlement = Outcomes(KEY, bool).settle(
        Outcome(decision_id=decision_id(), usage=usage()), now_s=NOW_S
    )
    knowledge.count_settlement(settlement, now_s=NOW_S)
    small, large = model_statuses(knowledge, {}, now_s=NOW_S)
    assert (small.unreported, small.unreported_nano_usd) == (2, 2_000_000)
    assert (large.unreported, large.unreported_nano_usd) == (0, 0)


def test_a_worker_is_shown_with_its_plan_and_the_age_it_told() -> None:
    knowledge = Knowledge(service())
    told = push()
    told.plan_id, told.plan_age_s = "1-7", 2.5
    knowledge.count_push(told, now_s=NOW_S)
    knowledge.count_push(push(worker="w1"), now_s=NOW_S)
    first, second = workers(knowledge)
    assert (first.plan_id, first.plan_age_s) == ("1-7", 2.5)
    assert (second.plan_id, second.HasField("plan_age_s")) == ("", False)


def test_a_model_is_shown_with_what_it_takes_and_until_when_an_endpoint_is_out() -> None:
    knowledge = Knowledge(service())
    address = knowledge.config.models[0].endpoints[0]
    out = EndpointStats(model="small", address=address, ejected=True, ejected_s=7.0)
    knowledge.count_push(push(endpoints=[out]), now_s=NOW_S)
    small, large = model_statuses(knowledge, {}, now_s=NOW_S + 1)
    assert list(small.payload_kinds) == ["tensors"]
    first, *others = small.endpoints
    assert first.ejected_until.ToNanoseconds() == round((NOW_S + 7) * 1e9)
    assert not any(one.HasField("ejected_until") for one in (*others, *large.endpoints))
