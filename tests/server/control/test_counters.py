import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.control.counters import WORKER_SILENT_S, WORKERS_MAX, Workers
from server.routing.counters import Counts
from tests.server.control.told import CHAT, CODE, answered, push, stats
from turnout.v1 import control_pb2 as pb


def endpoint(ejected: bool, model: str = "small") -> pb.EndpointStats:
    return pb.EndpointStats(model=model, address="127.0.0.1:1", ejected=ejected)


def ejected(workers: Workers, now_s: float) -> list[bool]:
    return [stats.ejected for _, stats in workers.endpoints(now_s=now_s)]


def test_a_push_adds_what_was_counted_since_the_last_one() -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=5, busy_s=0.5)), now_s=0.0)
    (increment,) = workers.merge(
        push(stats(CODE, "small", decided=12, busy_s=0.75), sequence=2), now_s=1.0
    )
    assert increment.leg == (CODE, "small", "small")
    assert increment.counts == Counts(decided=7, busy_s=0.25)


@pytest.mark.parametrize("sequence", [1, 2])
def test_a_repeated_or_late_push_adds_nothing(sequence: int) -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=5), sequence=2), now_s=0.0)
    late = push(stats(CODE, "small", decided=9), sequence=sequence)
    assert workers.merge(late, now_s=1.0) == []


def test_a_restarted_worker_counts_from_zero() -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=5)), now_s=0.0)
    (increment,) = workers.merge(push(stats(CODE, "small", decided=3), boot="b1"), now_s=1.0)
    assert increment.counts.decided == 3
    assert increment.recent


def test_a_restarted_worker_whose_first_pushes_were_lost_still_counts_from_zero() -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=5)), now_s=0.0)
    late = push(stats(CODE, "small", decided=3), boot="b1", sequence=4)
    (increment,) = workers.merge(late, now_s=1.0)
    assert increment.recent


def test_after_a_restart_of_the_control_plane_old_counts_are_no_demand_of_now() -> None:
    workers = Workers()
    (first,) = workers.merge(push(stats(CODE, "small", decided=5), sequence=40), now_s=0.0)
    pushed = push(stats(CODE, "small", decided=6), stats(CHAT, "small", decided=900), sequence=41)
    later, untouched_till_now = workers.merge(pushed, now_s=1.0)
    assert (first.counts.decided, first.recent) == (5, False)
    assert (later.counts.decided, later.recent) == (1, True)
    assert (untouched_till_now.counts.decided, untouched_till_now.recent) == (900, False)


@given(
    totals=st.lists(st.integers(0, 1_000), min_size=1, max_size=12).map(sorted),
    arrivals=st.lists(st.integers(0, 11), max_size=30),
)
def test_lost_repeated_and_reordered_pushes_count_each_request_once(
    totals: list[int], arrivals: list[int]
) -> None:
    workers, sum_of_all = Workers(), Counts()
    order = [n % len(totals) for n in arrivals] + [len(totals) - 1]
    for n in order:
        pushed = push(answered(CODE, "small", totals[n]), sequence=n + 1)
        for increment in workers.merge(pushed, now_s=0.0):
            sum_of_all.add(increment.counts)
    last = answered(CODE, "small", totals[-1])
    assert sum_of_all.decided == last.decided
    assert sum_of_all.cost_nano_usd == last.cost_nano_usd
    assert sum_of_all.latency_counts == list(last.latency_counts)


def test_an_endpoint_is_as_the_newest_push_says() -> None:
    workers = Workers()
    workers.merge(push(endpoints=[endpoint(True)]), now_s=0.0)
    assert ejected(workers, 0.0) == [True]
    workers.merge(push(endpoints=[endpoint(False)], sequence=2), now_s=1.0)
    assert ejected(workers, 1.0) == [False]


def test_a_worker_that_fell_silent_speaks_of_no_endpoint() -> None:
    workers = Workers()
    workers.merge(push(endpoints=[endpoint(True)]), now_s=0.0)
    assert ejected(workers, WORKER_SILENT_S) == [True]
    assert ejected(workers, WORKER_SILENT_S + 0.1) == []


def test_refusals_are_kept_when_a_worker_restarts() -> None:
    workers = Workers()
    for boot, count in (("b0", 3), ("b1", 2)):
        refusals = [pb.RefusalStats(reason="NO_CANDIDATE", count=count)]
        workers.merge(push(refusals=refusals, boot=boot), now_s=0.0)
    assert workers.refusals() == {"NO_CANDIDATE": 5}


def test_beyond_the_most_workers_the_one_silent_longest_is_forgotten() -> None:
    workers = Workers()
    for n in range(WORKERS_MAX + 1):
        workers.merge(push(worker=f"w{n}"), now_s=float(n))
    names = [state.name for state in workers.states()]
    assert len(names) == WORKERS_MAX
    assert "w0" not in names


def listening(connections: int, calls: int) -> pb.ListenerStats:
    return pb.ListenerStats(connections=connections, calls=calls)


def test_connections_calls_and_limits_are_of_all_workers_together() -> None:
    workers = Workers()
    workers.merge(push(listener=listening(3, 10), limits_reached={"pings": 1}), now_s=0.0)
    second = push(worker="w1", listener=listening(4, 20), limits_reached={"pings": 2, "idle": 5})
    workers.merge(second, now_s=0.0)
    assert workers.connections(now_s=0.0) == 7
    assert workers.calls() == 30
    assert workers.limits_reached() == {"pings": 3, "idle": 5}


def test_calls_and_limits_of_a_worker_that_was_started_again_are_not_forgotten() -> None:
    workers = Workers()
    workers.merge(push(listener=listening(3, 10), limits_reached={"idle": 2}), now_s=0.0)
    again = push(boot="b1", listener=listening(1, 5), limits_reached={"idle": 1})
    workers.merge(again, now_s=1.0)
    assert (workers.calls(), workers.limits_reached()) == (15, {"idle": 3})
    assert workers.connections(now_s=1.0) == 1


def test_connections_of_a_silent_worker_are_not_told() -> None:
    workers = Workers()
    workers.merge(push(listener=listening(3, 10)), now_s=0.0)
    assert workers.connections(now_s=WORKER_SILENT_S) == 3
    assert workers.connections(now_s=WORKER_SILENT_S + 1) is None


def test_of_grpcios_server_no_connections_are_told() -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=1)), now_s=0.0)
    assert workers.connections(now_s=0.0) is None
    assert workers.calls() == 0
