from server.control.key_totals import KeyTotal, KeyTotals


def test_what_workers_have_counted_is_added_up() -> None:
    totals = KeyTotals()
    for worker in ("worker-0", "worker-1"):
        totals.count(worker, "b1", "k", KeyTotal(1, 2, 3, 4))
        totals.count(worker, "b1", "k", KeyTotal(2, 4, 6, 8))  # the same, and more
    assert totals.of("k") == KeyTotal(4, 8, 12, 16)
    assert totals.of("another") == KeyTotal()


def test_a_worker_that_starts_again_begins_at_zero_and_nothing_is_lost_or_doubled() -> None:
    totals = KeyTotals()
    totals.count("worker-0", "b1", "k", KeyTotal(5, 0, 0, 0))
    totals.count("worker-0", "b1", "other", KeyTotal(1, 0, 0, 0))
    totals.count("worker-0", "b2", "k", KeyTotal(1, 0, 0, 0))
    totals.count("worker-0", "b2", "k", KeyTotal(2, 0, 0, 0))
    assert (totals.of("k").requests, totals.of("other").requests) == (7, 1)


def test_keys_that_are_gone_are_forgotten() -> None:
    totals = KeyTotals()
    totals.count("worker-0", "b1", "k", KeyTotal(5, 0, 0, 0))
    totals.count("worker-0", "b2", "k", KeyTotal(1, 0, 0, 0))
    totals.keep({"other"})
    assert totals.of("k") == KeyTotal()
