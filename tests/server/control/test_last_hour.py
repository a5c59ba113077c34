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


def test_what_is_told_late_is_added_to_the_minute_that_it_is_of() -> None:
    hour = LastHour()
    hour.add("m", Counts(unreported=3), now_s=30.0)
    hour.add("m", Counts(unreported=4), now_s=1_800.0)
    hour.add("m", Counts(unreported=-1), now_s=59.0)
    hour.add("m", Counts(unreported=-1), now_s=1_200.0)  # nothing began then: to the one before
    assert hour.of("m", now_s=1_800.0).unreported == 5
    assert hour.of("m", now_s=3_660.0).unreported == 4


def test_what_is_told_an_hour_late_changes_nothing() -> None:
    hour = LastHour()
    hour.add("m", Counts(unreported=4), now_s=3_600.0)
    hour.add("m", Counts(unreported=-1), now_s=59.0)
    assert hour.of("m", now_s=3_600.0).unreported == 4


def test_what_is_told_of_a_time_before_the_first_minute_is_added_to_that() -> None:
    hour = LastHour()
    hour.add("m", Counts(unreported=4), now_s=60.0)  # counted a second after it was decided
    hour.add("m", Counts(unreported=-1), now_s=59.0)
    assert hour.of("m", now_s=60.0).unreported == 3


def test_a_key_of_which_nothing_is_of_the_last_hour_is_forgotten() -> None:
    hour = LastHour()
    hour.add("old", Counts(decided=1), now_s=0.0)
    hour.add("new", Counts(decided=1), now_s=60.0)
    hour.forget_older(now_s=3_599.0)
    assert [key for key, _ in hour.to_plain()] == ["old", "new"]
    hour.forget_older(now_s=3_600.0)
    assert [key for key, _ in hour.to_plain()] == ["new"]


def test_what_is_taken_is_made_plain_as_it_is_read_and_as_it_was() -> None:
    hour = LastHour()
    hour.add("m", Counts(decided=1), now_s=0.0)
    taken = hour.to_plain()
    assert not isinstance(taken, list)  # which would be made while everybody waits
    hour.add("m", Counts(decided=5), now_s=0.0)
    hour.add("n", Counts(decided=5), now_s=0.0)
    again = LastHour.from_plain(taken, now_s=0.0)
    assert again.of("m", now_s=0.0).decided == 1
    assert again.of("n", now_s=0.0) == Happened()


def test_sums_are_spread_over_an_hour_where_counting_began_before() -> None:
    hour = LastHour()
    assert 3_540 <= hour.averaged_s(now_s=100_000.0) < 3_600
    hour.begin(now_s=0.0)
    assert 3_540 <= hour.averaged_s(now_s=100_000.0) < 3_600


def test_sums_are_spread_over_the_time_since_counting_began() -> None:
    hour = LastHour()
    hour.begin(now_s=120.0)
    assert hour.averaged_s(now_s=720.0) == 600.0


def test_no_average_is_taken_over_less_than_a_minute() -> None:
    hour = LastHour()
    hour.begin(now_s=120.0)
    assert hour.averaged_s(now_s=121.0) == 60.0


def test_when_counting_began_is_kept_and_forgotten_after_an_hour() -> None:
    hour = LastHour()
    hour.begin(now_s=120.0)
    again = LastHour.from_plain(hour.to_plain(), now_s=720.0)
    assert again.averaged_s(now_s=720.0) == 600.0
    again.forget_older(now_s=4_000.0)
    assert list(again.to_plain()) == []


def test_what_was_counted_goes_on_by_another_name_beside_what_that_has() -> None:
    hour = LastHour()
    hour.add("old", Counts(decided=1), now_s=0.0)
    hour.add("new", Counts(decided=2), now_s=60.0)
    hour.rename({"old": "new", "never": "seen"})
    assert hour.of("new", now_s=60.0).decided == 3
    assert hour.of("new", now_s=3_600.0).decided == 2
    assert hour.of("old", now_s=60.0) == Happened()


def test_two_names_may_change_places() -> None:
    hour = LastHour()
    hour.add("a", Counts(decided=1), now_s=0.0)
    hour.add("b", Counts(decided=2), now_s=0.0)
    hour.rename({"a": "b", "b": "a"})
    assert (hour.of("a", now_s=0.0).decided, hour.of("b", now_s=0.0).decided) == (2, 1)
