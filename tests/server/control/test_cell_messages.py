from server.control.cell_messages import cell_stats, counts_of, leg_of
from server.latency_buckets import LATENCY_BUCKETS
from server.routing.counters import Counts, Leg
from tests.server.control.told import CODE
from turnout.v1.control_pb2 import CellStats


def test_a_leg_and_every_count_of_it_come_back_from_the_wire() -> None:
    leg = Leg(CODE, "small", "large")
    latencies, others = list(range(LATENCY_BUCKETS)), range(12, 21)
    counts = Counts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10.5, 11, latencies, *others)
    sent = CellStats.FromString(cell_stats(leg, counts).SerializeToString())
    assert (leg_of(sent), counts_of(sent)) == (leg, counts)


def test_a_model_that_was_asked_first_is_named_once() -> None:
    sent = cell_stats(Leg(CODE, "small", "small"), Counts())
    assert sent.first == ""
    assert leg_of(sent) == Leg(CODE, "small", "small")


def test_of_another_number_of_buckets_those_that_we_know_are_read() -> None:
    assert counts_of(CellStats(latency_counts=[1])).latency_counts == [1] + [0] * (
        LATENCY_BUCKETS - 1
    )
    assert counts_of(CellStats(latency_counts=[1] * 100)).latency_counts == [1] * LATENCY_BUCKETS
