import pytest

from server.control import readings
from server.control.key_ring import Hashed, KeyRecord, Terms
from server.control.key_totals import KeyTotal, KeyTotals
from server.control.knowledge import Knowledge
from server.telemetry.metrics import COUNTERS, GAUGES
from server.transport import limit_names
from tests.server.control.told import CODE, NOW_S, answered, push, service, stats
from turnout.v1.admin_pb2 import Breach, Estimate, Plan, PlanClass
from turnout.v1.control_pb2 import EndpointStats, ListenerStats, RefusalStats

CODE_SMALL = {"traffic_class": "code", "model": "small"}


def plan() -> Plan:
    found = Plan(
        classes=[
            PlanClass(
                traffic_class="code",
                payer="team",
                floor=0.85,
                required=0.8875,
                realised_accuracy=Estimate(mean=0.9, grades=12.0),
            ),
            PlanClass(traffic_class="chat", payer="-"),
        ],
        breaches=[Breach(kind="floor"), Breach(kind="floor"), Breach(kind="pace")],
    )
    found.time.FromNanoseconds(round((NOW_S - 3) * 1e9))
    return found


def read(knowledge: Knowledge, of: Plan | None = None) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by name and by the values of their labels."""
    values = readings.values(knowledge, of, {"small": 2}, now_s=NOW_S)
    return {
        name: {tuple(attributes.values()): value for attributes, value in points}
        for name, points in values.items()
    }


def test_every_metric_that_is_declared_is_read_and_no_other() -> None:
    of_keys = readings.of_keys((), KeyTotals())
    found = read(Knowledge(service())).keys() | of_keys.keys()
    assert found == COUNTERS.keys() | GAUGES.keys()


def test_what_a_key_asked_and_took_is_told_of_those_that_were_used() -> None:
    terms, secret = Terms("team-a"), (Hashed("0" * 64),)
    records = [KeyRecord(id_, terms, secret, created_s=NOW_S) for id_ in ("used", "unused")]
    totals = KeyTotals()
    totals.count("worker-0", "b1", "used", KeyTotal(3, 20, 5, 2_000_000_000))
    names = {"key": "used", "tenant": "team-a"}
    assert readings.of_keys(records, totals) == {
        "turnout.key.requests": [(names, 3)],
        "turnout.key.cost": [(names, 2.0)],
        "turnout.key.tokens": [(names | {"type": "input"}, 20), (names | {"type": "output"}, 5)],
    }


def test_requests_are_told_by_how_they_ended() -> None:
    knowledge = Knowledge(service())
    told = stats(CODE, "small", decided=12, completed=10, failed=2, slo_missed=5)
    knowledge.count_push(push(told), now_s=NOW_S)
    found = read(knowledge)
    assert found["turnout.decisions"] == {("code", "small"): 12}
    assert found["turnout.requests"] == {
        ("code", "small", "ok"): 5,
        ("code", "small", "slow"): 3,
        ("code", "small", "failed"): 2,
    }


def test_money_is_told_in_dollars() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(stats(CODE, "small", cost_nano_usd=1_500_000_000)), now_s=NOW_S)
    found = read(knowledge)
    assert found["turnout.cost"] == {("code", "small"): 1.5}
    assert found["turnout.budget.spent"] == {("team",): 1.5}
    assert found["turnout.budget.left"] == {("team",): 238.5}


def test_what_is_unreported_is_told_in_decisions_and_dollars() -> None:
    knowledge = Knowledge(service())
    routed = stats(CODE, "small", decided=3, unreported=3, unreported_nano_usd=1_500_000_000)
    knowledge.count_push(push(routed), now_s=NOW_S)
    found = read(knowledge)
    assert found["turnout.unreported"] == {("small",): 3, ("large",): 0}
    assert found["turnout.unreported.cost"] == {("small",): 1.5, ("large",): 0}
    assert found["turnout.budget.unreported"] == {("team",): 1.5}


def test_a_plan_is_told_by_its_age_its_breaches_and_its_floors() -> None:
    found = read(Knowledge(service()), plan())
    assert found["turnout.plan.age"] == {(): pytest.approx(3.0)}
    assert found["turnout.plan.breaches"] == {
        ("capacity",): 0,
        ("slo",): 0,
        ("floor",): 2,
        ("pace",): 1,
    }
    assert found["turnout.floor.promised"] == {("code", "team"): 0.85}
    assert found["turnout.floor.required"] == {("code", "team"): 0.8875}
    assert found["turnout.floor.realised"] == {("code", "team"): 0.9}


def test_the_plan_of_each_worker_is_told_by_its_age_which_grows_in_silence() -> None:
    knowledge = Knowledge(service())
    told = push()
    told.plan_age_s = 2.5
    knowledge.count_push(told, now_s=NOW_S - 10)
    knowledge.count_push(push(worker="w1"), now_s=NOW_S)  # it has no plan yet
    assert read(knowledge)["turnout.worker.plan_age"] == {("w0",): 12.5}


def test_before_a_plan_nothing_is_told_of_it() -> None:
    found = read(Knowledge(service()))
    assert not found["turnout.plan.age"]
    assert not found["turnout.plan.breaches"]
    assert not found["turnout.floor.required"]


def test_refusals_and_ejections_are_told() -> None:
    knowledge = Knowledge(service())
    down = EndpointStats(model="small", address="127.0.0.1:2", ejected=True)
    refusals = [RefusalStats(reason="NO_CANDIDATE", count=3)]
    knowledge.count_push(push(endpoints=[down], refusals=refusals), now_s=NOW_S)
    knowledge.refusals["NOT_FOUND"] += 1
    found = read(knowledge)
    assert found["turnout.refusals"] == {("NO_CANDIDATE",): 3, ("NOT_FOUND",): 1}
    assert found["turnout.endpoint.ejected"] == {
        ("small", "127.0.0.1:1"): 0,
        ("small", "127.0.0.1:2"): 1,
        ("large", "127.0.0.1:3"): 0,
    }


def test_what_was_refused_for_want_of_capacity_is_told_by_who_pays() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(stats(CODE, "", shed=7)), now_s=NOW_S)
    knowledge.count_push(push(stats(CODE, "", shed=9), sequence=2), now_s=NOW_S)
    found = read(knowledge)
    assert found["turnout.shed"] == {("code", "team"): 9}
    assert found["turnout.decisions"] == {}


def test_durations_are_told_by_class_and_model() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(answered(CODE, "small", 10, bucket=20)), now_s=NOW_S)
    ((attributes, counts),) = readings.durations(knowledge)
    assert attributes == CODE_SMALL
    assert (counts[20], sum(counts)) == (10, 10)


def test_limits_are_told_before_they_are_reached_and_by_no_names_but_ours() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(limits_reached={"pings": 2, "thought up": 1}), now_s=NOW_S)
    found = read(knowledge)["turnout.transport.limits_reached"]
    assert found.pop(("pings",)) == 2
    assert set(found) == {(name,) for name in limit_names.ALL} - {("pings",)}
    assert set(found.values()) == {0}


def test_connections_are_told_once_a_worker_says_how_many() -> None:
    knowledge = Knowledge(service())
    assert read(knowledge)["turnout.transport.connections"] == {}
    listener = ListenerStats(connections=3, calls=9)
    knowledge.count_push(push(listener=listener), now_s=NOW_S)
    found = read(knowledge)
    assert found["turnout.transport.connections"] == {(): 3}
    assert found["turnout.transport.calls"] == {(): 9}
