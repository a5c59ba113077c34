"""What requests will need is forecast by the hours of a day and of a week."""

from datetime import UTC, datetime

import pytest

from optimizer.estimate.need import BUDGETS_MAX, HOUR_S, NeedEstimate

DAY_S, WEEK_S = 24 * HOUR_S, 168 * HOUR_S
MONDAY_S = datetime(2026, 11, 2, tzinfo=UTC).timestamp()


def per_s(at_s: float) -> float:
    """The stated week: 10 a second at night, 100 from 9 to 17, a third of that on weekends."""
    day, hour = divmod(int((at_s - MONDAY_S) // HOUR_S) % 168, 24)
    usual = 100.0 if 9 <= hour < 17 else 10.0
    return usual / 3 if day >= 5 else usual


def need(begin_s: float, end_s: float) -> float:
    hours = range(int(begin_s), int(end_s), int(HOUR_S))
    return sum(per_s(at_s) * HOUR_S for at_s in hours)


def day_of(now_s: float) -> float:
    return now_s - (now_s - MONDAY_S) % DAY_S


def watched(weeks: float, times: float = 1.0, known: NeedEstimate | None = None) -> NeedEstimate:
    """An hour after the other from Monday on, and how many weeks of them."""
    found = known or NeedEstimate()
    for hour in range(int(weeks * 168)):
        begin_s = MONDAY_S + hour * HOUR_S
        observe(found, begin_s, times)
    return found


def observe(found: NeedEstimate, begin_s: float, times: float = 1.0) -> None:
    found.observe_need(
        "team",
        per_s(begin_s) * HOUR_S * times,
        HOUR_S,
        start_s=day_of(begin_s),
        now_s=begin_s + HOUR_S,
    )


def to_come(found: NeedEstimate, now_s: float, end_s: float, now_per_s: float = 1.0) -> float:
    return found.to_come(
        "team", now_per_s=now_per_s, start_s=day_of(now_s), now_s=now_s, end_s=end_s
    )


def test_before_anything_was_seen_what_comes_now_is_expected_to_go_on() -> None:
    assert to_come(NeedEstimate(), MONDAY_S, MONDAY_S + 100, now_per_s=3.0) == 300


def test_in_a_first_period_the_mean_so_far_is_expected_of_the_rest() -> None:
    found = NeedEstimate()
    for second in range(600):
        busy = 9.0 if second % 3 == 0 else 0.0
        now_s = MONDAY_S + second + 1
        found.observe_need("team", busy, 1.0, start_s=MONDAY_S, now_s=now_s)
    expected = to_come(found, MONDAY_S + 600, MONDAY_S + 3_600, now_per_s=9.0)
    assert expected == pytest.approx(3.0 * 3_000, rel=0.06)


@pytest.mark.parametrize("day", range(7))
@pytest.mark.parametrize("hour", [1, 9, 12, 20])
def test_after_three_weeks_each_day_is_forecast_as_it_comes(day: int, hour: int) -> None:
    found, begin_s = watched(3), MONDAY_S + 3 * WEEK_S
    for past in range(day * 24 + hour):
        observe(found, begin_s + past * HOUR_S)
    now_s = begin_s + day * DAY_S + hour * HOUR_S
    end_s = day_of(now_s) + DAY_S
    assert to_come(found, now_s, end_s) == pytest.approx(need(now_s, end_s), rel=0.15)


def test_the_rest_of_a_week_is_forecast_with_its_weekend() -> None:
    found, now_s = watched(3.5), MONDAY_S + 3.5 * WEEK_S
    end_s = MONDAY_S + 4 * WEEK_S
    assert to_come(found, now_s, end_s) == pytest.approx(need(now_s, end_s), rel=0.05)


def test_an_hour_that_was_never_seen_is_like_that_hour_of_other_days() -> None:
    found, tuesday_s = watched(1 / 7), MONDAY_S + DAY_S  # Monday alone is known
    assert to_come(found, tuesday_s, tuesday_s + DAY_S) == pytest.approx(
        need(tuesday_s, tuesday_s + DAY_S), rel=0.35
    )


def test_of_a_day_that_is_twice_as_busy_more_is_expected_to_its_end() -> None:
    found, begin_s = watched(3), MONDAY_S + 3 * WEEK_S
    for past in range(14):
        observe(found, begin_s + past * HOUR_S, times=2.0)
    now_s = begin_s + 14 * HOUR_S
    usual = need(now_s, begin_s + DAY_S)
    assert 1.4 * usual < to_come(found, now_s, begin_s + DAY_S) < 2.1 * usual


def test_time_in_which_nobody_watched_makes_nothing_look_rarer() -> None:
    found, begin_s = watched(3), MONDAY_S + 3 * WEEK_S
    for past in (0, 1, 7, 8):
        observe(found, begin_s + past * HOUR_S)
    now_s = begin_s + 9 * HOUR_S
    expected = need(now_s, begin_s + DAY_S)
    assert to_come(found, now_s, begin_s + DAY_S) == pytest.approx(expected, rel=0.15)


def test_where_nothing_is_needed_any_more_nothing_is_to_come_for_long() -> None:
    found = watched(3)
    before = to_come(found, MONDAY_S + 3 * WEEK_S, MONDAY_S + 3 * WEEK_S + DAY_S)
    for past in range(8 * 168):
        now_s = MONDAY_S + 3 * WEEK_S + (past + 1) * HOUR_S
        found.observe_need("team", 0.0, HOUR_S, start_s=day_of(now_s - 1), now_s=now_s)
    now_s = MONDAY_S + 11 * WEEK_S
    assert to_come(found, now_s, now_s + DAY_S) < before / 8


def test_what_was_so_far_is_of_the_period_that_runs() -> None:
    found = watched(0.125)  # 21 hours of Monday
    assert found.so_far("team", start_s=MONDAY_S) == need(MONDAY_S, MONDAY_S + 21 * HOUR_S)
    assert found.so_far("team", start_s=MONDAY_S + DAY_S) == 0.0
    assert found.so_far("other", start_s=MONDAY_S) == 0.0


def test_what_was_learned_is_taken_up_as_it_was() -> None:
    found = watched(1.4)
    again = NeedEstimate.from_plain(found.to_plain())
    now_s = MONDAY_S + 1.5 * WEEK_S
    assert to_come(again, now_s, now_s + DAY_S) == to_come(found, now_s, now_s + DAY_S)


def test_of_too_many_budgets_those_are_forgotten_that_were_heard_of_longest_ago() -> None:
    found = NeedEstimate()
    for n in range(BUDGETS_MAX + 10):
        found.observe_need(f"b{n}", 1.0, 1.0, start_s=MONDAY_S, now_s=MONDAY_S + 1)
    assert found.so_far("b9", start_s=MONDAY_S) == 0.0
    assert found.so_far("b10", start_s=MONDAY_S) == 1.0
    assert len(list(found.to_plain()["rows"])) == BUDGETS_MAX
    assert len(found.to_plain()["periods"]) == BUDGETS_MAX
