import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.control.boot import FIRST_PUSH_S, WORKER_SILENT_S
from server.control.counters import BOOTS_MAX, UNHEARD_S_MAX, WORKERS_MAX, Workers
from server.routing.counters import Counts
from tests.server.control.told import CHAT, CODE, answered, push, stats
from turnout.v1 import control_pb2 as pb


def endpoint(ejected: bool, *, attempts: int = 0) -> pb.EndpointStats:
    return pb.EndpointStats(
        model="small", address="127.0.0.1:1", ejected=ejected, attempts=attempts
    )


def is_ejected(workers: Workers, now_s: float) -> bool:
    return ("small", "127.0.0.1:1") in workers.ejected(now_s=now_s)


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
    workers = Workers(epoch=7)
    workers.merge(push(stats(CODE, "small", decided=5)), now_s=0.0)
    late = push(stats(CODE, "small", decided=3), boot="b1", sequence=4, began_epoch=7)
    (increment,) = workers.merge(late, now_s=1.0)
    assert (increment.counts.decided, increment.new) == (3, True)


def test_a_late_push_of_an_older_boot_adds_only_what_is_new() -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=500)), now_s=0.0)
    workers.merge(push(stats(CODE, "small", decided=3), boot="b1"), now_s=1.0)
    (late,) = workers.merge(push(stats(CODE, "small", decided=501), sequence=2), now_s=2.0)
    (then,) = workers.merge(push(stats(CODE, "small", decided=5), boot="b1", sequence=2), now_s=3.0)
    assert (late.counts.decided, then.counts.decided) == (1, 2)
    assert [boot.name for boot in workers.states()] == ["b1"]


def test_an_older_boot_that_was_never_heard_of_is_not_counted_as_new() -> None:
    workers = Workers(epoch=7)
    workers.merge(push(stats(CODE, "small", decided=3), began_epoch=7, epoch=7), now_s=0.0)
    older = push(stats(CODE, "small", decided=900), boot="b", sequence=40, began_epoch=6, epoch=6)
    (increment,) = workers.merge(older, now_s=1.0)
    assert (increment.new, increment.recent) == (False, False)


def test_beyond_the_most_boots_of_a_worker_the_one_silent_longest_is_forgotten() -> None:
    workers = Workers()
    for n in range(BOOTS_MAX + 1):
        workers.merge(push(boot=f"b{n}", listener=listening(1, 10)), now_s=float(n))
    assert [name for _, name, *_ in workers.to_plain()["boots"]] == ["b1", "b2", "b3"]
    assert workers.calls() == 10 * (BOOTS_MAX + 1)


def test_after_a_restart_of_the_control_plane_old_counts_are_no_demand_of_now() -> None:
    workers = Workers(epoch=2)
    unaware = push(stats(CODE, "small", decided=5), sequence=40, began_epoch=1, epoch=1)
    (first,) = workers.merge(unaware, now_s=0.0)
    assert (first.counts.decided, first.recent, first.new) == (5, False, False)
    everything = push(
        stats(CODE, "small", decided=6), sequence=41, began_epoch=1, epoch=2, more=True
    )
    (again,) = workers.merge(everything, now_s=1.0)
    assert (again.counts.decided, again.recent, again.new) == (1, False, True)
    rest = push(stats(CHAT, "small", decided=900), sequence=42, began_epoch=1, epoch=2)
    (other,) = workers.merge(rest, now_s=1.0)
    assert (other.counts.decided, other.recent, other.new) == (900, False, False)


def test_once_a_worker_has_told_all_what_it_adds_is_of_now() -> None:
    workers = Workers(epoch=2)
    workers.merge(push(stats(CODE, "small", decided=5), sequence=40, epoch=2), now_s=0.0)
    pushed = push(
        stats(CODE, "small", decided=6), stats(CHAT, "small", decided=9), sequence=41, epoch=2
    )
    increments = workers.merge(pushed, now_s=1.0)
    assert [(i.counts.decided, i.recent, i.new) for i in increments] == [
        (1, True, True),
        (9, True, True),
    ]


def test_what_a_worker_counted_while_it_could_not_push_is_money_and_no_demand_of_now() -> None:
    workers = Workers()
    workers.merge(push(stats(CODE, "small", decided=5)), now_s=0.0)
    after_s = WORKER_SILENT_S + 1
    (increment,) = workers.merge(push(stats(CODE, "small", decided=900), sequence=2), now_s=after_s)
    assert (increment.counts.decided, increment.recent, increment.new) == (895, False, True)
    (then,) = workers.merge(push(stats(CODE, "small", decided=901), sequence=3), now_s=after_s)
    assert (then.counts.decided, then.recent) == (1, True)


def restarted(workers: Workers, epoch: int, now_s: float = 0.0) -> Workers:
    """As a file would bring it back."""
    return Workers.from_plain(
        json.loads(json.dumps(workers.to_plain(), default=list)), epoch=epoch, now_s=now_s
    )


def test_accounts_that_are_taken_up_again_add_what_was_counted_meanwhile() -> None:
    workers = Workers(epoch=1)
    workers.merge(push(answered(CODE, "small", 100), began_epoch=1, epoch=1), now_s=0.0)
    again = restarted(workers, epoch=2)
    told = [answered(CODE, "small", 107), answered(CODE._replace(domain="law"), "small", 2)]
    increments = again.merge(push(*told, sequence=2, began_epoch=1, epoch=2), now_s=9.0)
    assert sum(increment.counts.decided for increment in increments) == 9
    assert sum(increment.counts.cost_nano_usd for increment in increments) == 9_000_000
    assert sum(increment.counts.latency_counts[20] for increment in increments) == 9
    assert all(increment.new and not increment.recent for increment in increments)


def test_a_worker_that_began_while_the_control_plane_was_away_is_counted_whole() -> None:
    # The second start of the control plane, which the worker followed first, kept nothing.
    again = restarted(Workers(epoch=1), epoch=3)
    late = push(answered(CODE, "small", 100), sequence=9, began_epoch=2, epoch=2)
    (increment,) = again.merge(late, now_s=0.0)
    assert (increment.counts.decided, increment.new) == (100, True)


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
    assert is_ejected(workers, 0.0)
    workers.merge(push(endpoints=[endpoint(False)], sequence=2), now_s=1.0)
    assert not is_ejected(workers, 1.0)


def test_a_worker_that_fell_silent_speaks_of_no_endpoint() -> None:
    workers = Workers()
    workers.merge(push(endpoints=[endpoint(True)]), now_s=0.0)
    assert is_ejected(workers, WORKER_SILENT_S)
    assert not is_ejected(workers, WORKER_SILENT_S + 0.1)


def asking(*attempts: int) -> Workers:
    """Workers that began to push, each of which has made so many attempts at an endpoint since."""
    workers = Workers()
    for sequence, factor in ((1, 0), (2, 1)):
        for n, count in enumerate(attempts):
            pushed = push(
                endpoints=[endpoint(False, attempts=factor * count)],
                worker=f"w{n}",
                sequence=sequence,
            )
            workers.merge(pushed, now_s=float(sequence))
    return workers


def eject(workers: Workers, worker: str, attempts: int, now_s: float = 3.0) -> None:
    ejected = endpoint(True, attempts=attempts)
    workers.merge(push(endpoints=[ejected], worker=worker, sequence=3), now_s=now_s)


@pytest.mark.parametrize(("others", "out"), [(51, False), (49, True)])
def test_an_endpoint_is_out_where_those_who_made_half_of_the_attempts_say_so(
    others: int, out: bool
) -> None:
    workers = asking(50, others, 0)
    eject(workers, "w0", 50)
    assert is_ejected(workers, 3.0) == out


def test_one_bad_path_of_four_takes_no_endpoint_from_the_plan() -> None:
    workers = asking(50, 50, 50, 50)
    eject(workers, "w0", 50)
    assert not is_ejected(workers, 3.0)
    eject(workers, "w1", 50)
    assert is_ejected(workers, 3.0)


def test_attempts_of_long_ago_no_longer_speak() -> None:
    workers = asking(1_000, 10)
    for minute in range(1, 11):
        told = [endpoint(False, attempts=10 + minute)]
        pushed = push(endpoints=told, worker="w1", sequence=2 + minute)
        workers.merge(pushed, now_s=60.0 * minute)
    eject(workers, "w0", 1_000, now_s=600.0)
    assert not is_ejected(workers, 600.0)


def test_where_nobody_has_asked_of_late_workers_count_alike() -> None:
    workers = asking(0, 0, 0)
    eject(workers, "w0", 0)
    assert not is_ejected(workers, 3.0)
    eject(workers, "w1", 0)
    assert is_ejected(workers, 3.0)


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
    names = [boot.worker for boot in workers.states()]
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


def test_time_is_watched_from_push_to_push_and_no_time_twice() -> None:
    workers = Workers()
    for n in range(1, 5):
        for name, late_s in (("w0", 0.0), ("w1", 0.25)):
            workers.merge(push(sequence=n, worker=name), now_s=n + late_s)
    # The first push of each tells of a moment.
    assert workers.take_watched_s() == pytest.approx(3.25 + FIRST_PUSH_S)
    assert workers.take_watched_s() == 0.0
    workers.merge(push(sequence=5), now_s=6.0)
    assert workers.take_watched_s() == pytest.approx(1.75)


def test_time_is_not_watched_by_what_says_nothing_of_now() -> None:
    workers = Workers()
    workers.merge(push(sequence=2, more=True), now_s=0.0)  # it has counted since long before
    workers.merge(push(sequence=3), now_s=1.0)
    assert workers.take_watched_s() == 0.0
    workers.merge(push(sequence=4), now_s=2.0)
    assert workers.take_watched_s() == 1.0
    workers.merge(push(sequence=4), now_s=2.5)  # repeated
    workers.merge(push(sequence=5), now_s=2.0 + WORKER_SILENT_S + 1)
    assert workers.take_watched_s() == 0.0


def names(workers: Workers) -> list[str]:
    return [boot.worker for boot in workers.states()]


def test_a_worker_of_an_earlier_start_is_not_shown_before_it_pushes() -> None:
    workers = Workers()
    for name in ("w0", "w1"):
        workers.merge(push(answered(CODE, "small", 5), worker=name), now_s=0.0)
    again = restarted(workers, epoch=1)
    assert names(again) == []
    again.merge(push(answered(CODE, "small", 5), sequence=2, worker="w1"), now_s=1.0)
    assert names(again) == ["w1"]


def test_a_worker_that_is_not_heard_again_is_forgotten_and_one_that_is_counts_on() -> None:
    workers = Workers()
    for name in ("w0", "w1"):
        workers.merge(push(answered(CODE, "small", 5), worker=name), now_s=0.0)
    again = restarted(workers, epoch=1)
    again.merge(push(answered(CODE, "small", 5), sequence=2, worker="w1"), now_s=1.0)
    again.forget_unheard(now_s=UNHEARD_S_MAX)
    assert [name for name, *_ in again.to_plain()["boots"]] == ["w0", "w1"]
    again.forget_unheard(now_s=UNHEARD_S_MAX + 1)
    assert [name for name, *_ in again.to_plain()["boots"]] == ["w1"]
    assert {place for place, *_ in again.to_plain()["told"]} == {0}


@pytest.mark.parametrize("silent_s", [0.25, WORKER_SILENT_S + 1])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_who_has_told_all_once_adds_money_after_any_silence(
    silent_s: float, is_restarted: bool
) -> None:
    """These accounts began while the worker was running."""
    workers, epoch = Workers(epoch=100), 100
    workers.merge(
        push(answered(CODE, "small", 100), sequence=50, began_epoch=5, epoch=100), now_s=0.0
    )
    late = push(answered(CODE, "small", 110), sequence=51, began_epoch=5, epoch=100)
    workers.merge(late, now_s=silent_s)
    if is_restarted:
        workers, epoch = restarted(workers, epoch=101, now_s=silent_s), 101
    told = push(answered(CHAT, "large", 7), sequence=52, began_epoch=5, epoch=epoch)
    (increment,) = workers.merge(told, now_s=2 * silent_s)
    assert (increment.new, increment.counts.cost_nano_usd) == (True, 7_000_000)


def test_an_endpoint_is_out_until_the_last_worker_lets_it_back() -> None:
    workers = Workers()
    for name, left_s in (("w0", 5.0), ("w1", 8.0)):
        out = endpoint(True)
        out.ejected_s = left_s
        workers.merge(push(worker=name, endpoints=[out]), now_s=100.0)
    workers.merge(push(worker="w2", endpoints=[endpoint(False)]), now_s=100.0)
    assert workers.ejected_until_s(now_s=101.0) == {("small", "127.0.0.1:1"): 108.0}
