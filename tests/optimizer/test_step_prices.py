"""Step prices are differences of plans, by the day."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from optimizer.deadline import Deadline
from optimizer.problem import Budget, Group, Problem, Resource
from optimizer.step_prices import StepPrice, step_prices
from tests.optimizer.windows import TIME_LIMIT_S, capacity_of, window

WINDOW_S = 8.64  # ten thousand to the day
DAYS = 1e-4
NANO = 1_000_000_000


def prices(problem: Problem) -> tuple[StepPrice, ...]:
    deadline = Deadline(100 * TIME_LIMIT_S, time.monotonic)
    return step_prices(problem, deadline, window_s=WINDOW_S, solve_s_max=TIME_LIMIT_S)


def of(problem: Problem, kind: str) -> list[StepPrice]:
    return [price for price in prices(problem) if price.kind == kind]


def cost(found: Sequence[StepPrice], step: float) -> int | None:
    (price,) = [price for price in found if price.step == pytest.approx(step)]
    return price.cost_nano_usd_per_day


def two_models(group: Group, *, demand: float = 100, **more: object) -> Problem:
    """A hundred requests; the dear model costs 4 more and is right twice as often."""
    return window([[1, 5]], [[0.5, 1.0]], group, demand=[demand], **more)  # type: ignore[arg-type]


class TestFloors:
    def test_a_point_costs_what_the_answers_more_that_are_right_cost_in_a_day(self) -> None:
        found = of(two_models(Group("code", "-", floor=0.75)), "floor")
        # One of a hundred: two requests more to the dear model, ten thousand windows a day.
        assert cost(found, 0.01) == pytest.approx(2 * 4 / DAYS)
        assert cost(found, -0.01) == pytest.approx(-2 * 4 / DAYS)
        assert {price.name for price in found} == {"code"}

    def test_the_step_is_real_where_the_marginal_price_is_not(self) -> None:
        # Half a point is to be had for 4 a request, what is beyond it for 40.
        problem = window(
            [[0, 4], [0, 40]], [[0, 1], [0, 1]], Group("code", "-", floor=0.495), demand=[50, 50]
        )
        assert cost(of(problem, "floor"), 0.01) == pytest.approx((0.5 * 4 + 0.5 * 40) / DAYS)

    def test_a_floor_that_does_not_bind_costs_nothing_either_way(self) -> None:
        found = of(two_models(Group("code", "-", floor=0.3)), "floor")
        assert [price.cost_nano_usd_per_day for price in found] == [0, 0]

    def test_a_floor_moves_as_far_as_its_group_says_where_a_point_more_is_promised(self) -> None:
        group = Group("code", "-", floor=0.75, floor_steps=(0.005, -0.0075))
        found = of(two_models(group), "floor")
        assert cost(found, 0.01) == pytest.approx(1 * 4 / DAYS)
        assert cost(found, -0.01) == pytest.approx(-1.5 * 4 / DAYS)

    def test_a_point_that_cannot_be_promised_has_no_step(self) -> None:
        group = Group("code", "-", floor=0.75, floor_steps=(float("inf"), -0.01))
        assert [price.step for price in of(two_models(group), "floor")] == [-0.01]

    def test_a_point_that_cannot_be_met_has_no_price(self) -> None:
        problem = two_models(Group("code", "-", floor=0.99))
        problem = replace(problem, accuracy=np.array([[0.5, 0.995]]))
        found = of(problem, "floor")
        assert cost(found, 0.01) is None
        assert cost(found, -0.01) is not None

    def test_a_floor_that_is_unreachable_is_a_point_cheaper_only_when_that_is_reachable(
        self,
    ) -> None:
        problem = two_models(Group("code", "-", floor=0.95))
        near = replace(problem, accuracy=np.array([[0.5, 0.945]]))
        far = replace(problem, accuracy=np.array([[0.5, 0.9]]))
        saved = cost(of(near, "floor"), -0.01)
        assert saved is not None
        assert saved < 0
        assert cost(of(far, "floor"), -0.01) == 0

    def test_a_point_that_another_class_would_pay_for_has_no_price(self) -> None:
        groups = Group("code", "-", 1, floor=0.5), Group("chat", "-", floor=0.5)
        problem = window([[1, 5]] * 2, [[0, 1]] * 2, *groups, demand=[10, 10], group_of=[0, 1])
        problem = replace(problem, resources=[capacity_of(problem, 1, 10)])
        found = {(price.name, price.step): price for price in of(problem, "floor")}
        assert found["code", 0.01].cost_nano_usd_per_day is None

    def test_no_floor_moves_beyond_1(self) -> None:
        found = of(two_models(Group("code", "-", floor=0.995)), "floor")
        assert [price.step for price in found] == [-0.01]

    def test_all_payers_of_a_class_move_together(self) -> None:
        groups = Group("code", "a", floor=0.75), Group("code", "b", floor=0.75)
        problem = window([[1, 5]] * 2, [[0.5, 1.0]] * 2, *groups, demand=[50, 50], group_of=[0, 1])
        assert cost(of(problem, "floor"), 0.01) == pytest.approx(2 * 4 / DAYS)

    def test_a_class_without_demand_has_no_price(self) -> None:
        assert prices(two_models(Group("code", "-", floor=0.75), demand=0)) == ()


class TestSlos:
    def test_a_point_costs_what_its_requests_cost_at_a_faster_model(self) -> None:
        problem = two_models(Group("code", "-", miss_max=0.1), miss=[[0.2, 0.0]])
        found = of(problem, "slo")
        assert cost(found, 0.01) == pytest.approx(5 * 4 / DAYS)
        assert cost(found, -0.01) == pytest.approx(-5 * 4 / DAYS)

    def test_where_less_than_two_points_may_be_late_half_of_them_is_the_step(self) -> None:
        problem = two_models(Group("code", "-", miss_max=0.01), miss=[[0.2, 0.0]])
        assert [price.step for price in of(problem, "slo")] == [0.005, -0.01]

    def test_an_slo_that_does_not_bind_costs_nothing(self) -> None:
        problem = two_models(Group("code", "-", miss_max=0.5), miss=[[0.2, 0.0]])
        assert [price.cost_nano_usd_per_day for price in of(problem, "slo")] == [0, 0]


class TestCapacity:
    def test_a_tenth_of_it_is_worth_what_it_keeps_from_dearer_models(self) -> None:
        problem = two_models(Group("code", "-"))
        found = of(replace(problem, resources=[capacity_of(problem, 0, 40)]), "capacity")
        assert cost(found, -4 / WINDOW_S) == pytest.approx(4 * 4 / DAYS)
        assert cost(found, 4 / WINDOW_S) == pytest.approx(-4 * 4 / DAYS)
        assert {price.name for price in found} == {"m0"}

    def test_one_that_is_not_nearly_used_up_is_left_out(self) -> None:
        problem = two_models(Group("code", "-"))
        assert of(replace(problem, resources=[capacity_of(problem, 0, 120)]), "capacity") == []

    def test_less_of_it_has_no_price_where_requests_would_be_shed(self) -> None:
        problem = two_models(Group("code", "-"))
        problem = replace(problem, resources=[Resource("gpu", np.ones((1, 2)), 100)])
        found = of(problem, "capacity")
        assert cost(found, -10 / WINDOW_S) is None
        assert cost(found, 10 / WINDOW_S) == 0


class TestBudgets:
    """The mix of 0.75 costs 300 a window, three milli-dollars a day."""

    def with_pace(self, usd_per_day: float, group: Group | None = None) -> Problem:
        problem = two_models(group or Group("code", "-", floor=0.75))
        problem = replace(problem, cost_nano_usd=problem.cost_nano_usd * 1e6)
        pace = usd_per_day * NANO * DAYS
        return replace(problem, budgets=[Budget("team", np.array([True]), pace)])

    def test_one_that_is_enough_has_no_step(self) -> None:
        assert of(self.with_pace(3_100), "budget") == []

    def test_a_dollar_buys_accuracy_where_the_budget_is_short(self) -> None:
        more, less = of(self.with_pace(2_900), "budget")
        # A dollar a day is a ten-thousandth of one a window: 1/4 of 1e-4 of 1e9 / 1e6 / 100 / 2.
        assert (more.step, less.step) == (1, -1)
        assert more.accuracy == pytest.approx(0.000125)
        assert less.accuracy == pytest.approx(-0.000125)
        assert more.traffic_class == "code"
        assert more.cost_nano_usd_per_day is None

    def test_the_class_that_a_dollar_changes_is_told_not_one_that_is_short_anyway(self) -> None:
        groups = Group("code", "-", 1, floor=0.75), Group("chat", "-", floor=0.9)
        problem = window(
            [[1e6, 5e6]] * 2,
            [[0.5, 1.0], [0.1, 0.1]],
            *groups,
            demand=[100, 100],
            group_of=[0, 1],
        )
        pace = 2_900 * NANO * DAYS
        problem = replace(problem, budgets=[Budget("team", np.array([True, False]), pace)])
        more = of(problem, "budget")[0]
        assert more.traffic_class == "code"
        assert more.accuracy == pytest.approx(0.000125)

    def test_a_pace_that_can_just_be_kept_costs_accuracy_with_a_dollar_less(self) -> None:
        problem = window(
            [[1e9, 5e9], [1e9, 9e9]],
            [[0, 1], [0, 1]],
            Group("code", "-", floor=0.75),
            demand=[100, 100],
        )
        team = Budget("team", np.array([True, False]), 300e9)
        _, less = of(replace(problem, budgets=[team]), "budget")
        assert less.cost_nano_usd_per_day is None
        # A quarter of a right answer for each dollar of a day, of 200 in each of 10,000 windows.
        assert less.accuracy == pytest.approx(-0.25 / 200 * DAYS)

    def test_a_dollar_buys_money_elsewhere_where_the_pace_is_kept_by_moving_the_mix(self) -> None:
        problem = window(
            [[1e9, 5e9], [1e9, 9e9]],
            [[0, 1], [0, 1]],
            Group("code", "-", floor=0.5),
            demand=[100, 100],
        )
        team = Budget("team", np.array([True, False]), 300e9)
        more, less = of(replace(problem, budgets=[team]), "budget")
        # For a dollar of the team's a quarter more right answers, that cost 2 elsewhere.
        assert more.cost_nano_usd_per_day == pytest.approx(-NANO)
        assert less.cost_nano_usd_per_day == pytest.approx(NANO)

    def test_a_small_budget_moves_by_a_power_of_ten_that_is_no_leap_for_it(self) -> None:
        small = self.with_pace(2_900)
        small = replace(
            small,
            cost_nano_usd=small.cost_nano_usd * 1e-4,
            budgets=[replace(b, pace_nano_usd=b.pace_nano_usd * 1e-4) for b in small.budgets],
        )
        more, less = of(small, "budget")
        assert [more.step, less.step] == pytest.approx([0.01, -0.01])

    def test_money_that_does_not_even_serve_everyone_buys_no_accuracy(self) -> None:
        more = of(self.with_pace(900), "budget")[0]
        assert more.accuracy is None
        assert more.cost_nano_usd_per_day is None

    def test_paces_leave_the_prices_of_bounds_alone(self) -> None:
        tight, free = self.with_pace(10), replace(self.with_pace(10), budgets=())
        assert of(tight, "floor") == of(free, "floor")


def test_a_solve_that_fails_leaves_its_prices_out() -> None:
    random = np.random.default_rng(3)
    shape = (60, 8)
    problem = window(
        random.uniform(1, 100, shape).tolist(),
        random.uniform(0.5, 1, shape).tolist(),
        Group("code", "-", floor=0.8),
    )
    deadline = Deadline(TIME_LIMIT_S, time.monotonic)
    assert step_prices(problem, deadline, window_s=WINDOW_S, solve_s_max=1e-9) == ()
