from server.control.last_hour import Happened, LastHour
from server.routing.counters import Counts


def test_the_sum_is_of_the_last_hour_alone() -> None:
    hour = LastHour()
    hour.add("m", Counts(decided=1), now_s=0.0)
    hour.add("m", Counts(decided=10), now_s=1_800.0)
    assert hour.of("m", now_s=3_599.0).decided == 11
    assert hour.of("m", now_s=3_660.0).decided == 10
    assert hour.of("m", now_s=9_000.0) == Happened()


def test_what_comes_within_a_minute_is_added_up() -> None:
    hour = LastHour()
    for _ in range(3):
        hour.add("m", Counts(decided=1, completed=2, slo_missed=1, cost_nano_usd=5), now_s=30.0)
    assert hour.of("m", now_s=40.0) == Happened(
        decided=3, completed=6, slo_missed=3, cost_nano_usd=15
    )


def test_keys_are_apart() -> None:
    hour = LastHour()
    hour.add("m", Counts(decided=1), now_s=0.0)
    assert hour.of("n", now_s=0.0) == Happened()


def test_a_long_time_leaves_an_hour_of_minutes() -> None:
    hour = LastHour()
    for minute in range(200):
        hour.add("m", Counts(decided=1), now_s=60.0 * minute)
    assert hour.of("m", now_s=60.0 * 199).decided == 60
