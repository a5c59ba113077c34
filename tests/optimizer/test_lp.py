"""What a plan does, on windows whose best plan can be told by hand."""

import time
from dataclasses import astuple, replace

import numpy as np
import pytest

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Budget, Group, Pin, Problem, Resource
from optimizer.solution import Failure, Solution
from tests.optimizer.windows import capacity_of, plan, window

EVERYONE = np.array([True])


def code(floor: float | None = None, miss_max: float | None = None) -> Group:
    return Group("code", "-", floor=floor, miss_max=miss_max)


def only_breach(solution: Solution) -> tuple[object, ...]:
    (breach,) = solution.breaches
    return astuple(breach)


def two_models(*groups: Group, **more: object) -> Problem:
    """A cheap one that is right half of the time, and a dear one that always is."""
    return window([[1, 5]], [[0.5, 1.0]], *groups, **more)  # type: ignore[arg-type]


def test_without_constraints_every_cell_goes_to_its_cheapest_model() -> None:
    solution = plan(window([[1, 5], [7, 2]], [[0.5, 1.0], [0.5, 1.0]]))
    assert solution.shares.tolist() == [[1, 0], [0, 1]]
    assert solution.cost_nano_usd == 3
    assert solution.certificate.relaxed == "none"


def test_a_floor_buys_only_as_much_of_the_dear_model_as_it_needs() -> None:
    solution = plan(two_models(code(floor=0.75)))
    assert solution.shares == pytest.approx(np.array([[0.5, 0.5]]))
    assert solution.accuracy == pytest.approx([0.75])
    assert solution.cost_nano_usd == pytest.approx(3)


def test_a_floor_is_held_over_the_group_where_it_is_cheapest() -> None:
    # One more right answer costs 4 in the first cell and 40 in the second.
    problem = window([[1, 5], [1, 41]], [[0, 1], [0, 1]], code(floor=0.5))
    assert plan(problem).shares == pytest.approx(np.array([[0, 1], [1, 0]]))


def test_an_slo_limits_the_fraction_that_is_late() -> None:
    problem = two_models(code(miss_max=0.01), miss=[[0.04, 0.0]])
    solution = plan(problem)
    assert solution.shares == pytest.approx(np.array([[0.25, 0.75]]))
    assert solution.miss == pytest.approx([0.01])


def test_capacity_sends_what_is_beyond_it_to_another_model() -> None:
    problem = two_models(demand=[10])
    solution = plan(replace(problem, resources=[capacity_of(problem, 0, 4)]))
    assert solution.shares == pytest.approx(np.array([[0.4, 0.6]]))
    assert solution.duals["capacity:m0"] == pytest.approx(4)


def test_a_pin_keeps_a_model_in_the_mix_though_it_is_dear() -> None:
    solution = plan(replace(two_models(), pins=[Pin(0, 1, share_min=0.05)]))
    assert solution.shares == pytest.approx(np.array([[0.95, 0.05]]))


def test_a_pin_at_nothing_takes_a_model_out() -> None:
    solution = plan(replace(two_models(), pins=[Pin(0, 0, share_max=0.0)]))
    assert solution.shares.tolist() == [[0, 1]]


def test_a_pace_moves_the_mix_to_those_who_do_not_draw_on_the_budget() -> None:
    # The floor is over both cells; the second one's right answers are dearer, but not the team's.
    problem = window([[1, 5], [1, 9]], [[0, 1], [0, 1]], code(floor=0.5))
    team = Budget("team", np.array([True, False]), 3)
    solution = plan(replace(problem, budgets=[team]))
    assert solution.shares == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert solution.budget_cost_nano_usd == pytest.approx([3])
    assert solution.breaches == ()


def test_a_pace_that_is_not_enough_yields_before_the_floor_and_says_what_would_be() -> None:
    problem = replace(two_models(code(floor=0.75)), budgets=[Budget("team", EVERYONE, 2)])
    solution = plan(problem)
    assert solution.accuracy == pytest.approx([0.75])
    assert only_breach(solution) == ("pace", "team", 2, pytest.approx(3))
    assert solution.certificate.relaxed == "pace"


def test_a_pace_never_sheds() -> None:
    solution = plan(replace(two_models(), budgets=[Budget("team", EVERYONE, 0)]))
    assert solution.shed.tolist() == [0]
    assert solution.cost_nano_usd == 1


def test_a_floor_that_is_unreachable_is_named_with_the_best_that_is() -> None:
    solution = plan(window([[1, 5]], [[0.5, 0.93]], code(floor=0.95)))
    assert solution.shares.tolist() == [[0, 1]]
    assert only_breach(solution) == ("floor", "code", 0.95, pytest.approx(0.93))


def test_an_slo_that_is_unreachable_is_named_with_the_best_that_is() -> None:
    solution = plan(two_models(code(miss_max=0.01), miss=[[0.2, 0.05]]))
    assert only_breach(solution) == ("slo", "code", 0.99, pytest.approx(0.95))


def test_what_cannot_be_seated_is_shed_and_named() -> None:
    problem = window([[1]], [[1]], demand=[10])
    solution = plan(replace(problem, resources=[capacity_of(problem, 0, 4)]))
    assert solution.shed == pytest.approx([0.6])
    assert only_breach(solution) == ("capacity", "code", 1.0, pytest.approx(0.4))
    assert solution.certificate.relaxed == "served"


def test_all_cells_of_a_group_are_shed_alike_so_that_no_domain_lifts_the_mean() -> None:
    problem = window([[1], [1]], [[0.2], [1.0]], code(floor=0.6), demand=[5, 5])
    solution = plan(replace(problem, resources=[capacity_of(problem, 0, 5)]))
    assert solution.shares == pytest.approx(np.array([[0.5], [0.5]]))
    assert solution.accuracy == pytest.approx([0.6])


def pooled() -> Problem:
    """Two cells of one class that can never use each other's models; the first's is too small."""
    problem = window([[1, 0], [0, 2]], [[0.6, 0], [0, 0.9]], code(), demand=[10, 10])
    return replace(
        problem,
        allowed=np.eye(2, dtype=bool),
        resources=[capacity_of(problem, 0, 1)],
        pools=np.array([0, 1]),
    )


def test_a_pool_is_not_shed_for_what_another_lacks() -> None:
    solution = plan(pooled())
    assert solution.shed == pytest.approx([0.9, 0])
    assert solution.shares == pytest.approx(np.array([[0.1, 0], [0, 1]]))
    assert solution.group_shed == pytest.approx([0.45])
    assert only_breach(solution) == ("capacity", "code", 1.0, pytest.approx(0.55))
    assert max(solution.certificate.duality_gap, solution.certificate.worst_violation) <= 1e-9


def test_as_one_pool_both_are_shed_alike() -> None:
    solution = plan(replace(pooled(), pools=None))
    assert solution.shed == pytest.approx([0.9])
    assert solution.group_shed == pytest.approx([0.9])


def test_bounds_of_a_group_hold_over_all_of_its_pools() -> None:
    eased = plan(replace(pooled(), groups=(code(floor=0.85),)))
    # One of 0.6 and ten of 0.9: above the floor, which tensors alone could not show.
    assert eased.accuracy == pytest.approx([(0.6 + 9) / 11])
    assert [breach.kind for breach in eased.breaches] == ["capacity"]


def test_a_pool_without_demand_is_not_shed_like_the_others_of_its_group() -> None:
    solution = plan(replace(pooled(), demand=np.array([10.0, 0.0])))
    assert solution.shed == pytest.approx([0.9, 0])
    assert solution.shares[1].tolist() == [0, 1]


def test_bounds_speak_of_what_is_served() -> None:
    problem = two_models(code(floor=0.75), demand=[8])
    solution = plan(
        replace(problem, resources=[capacity_of(problem, 1, 2), capacity_of(problem, 0, 2)])
    )
    assert solution.shed == pytest.approx([0.5])
    assert solution.accuracy == pytest.approx([0.75])
    assert [breach.kind for breach in solution.breaches] == ["capacity"]


def test_the_higher_priority_is_served_first() -> None:
    groups = Group("code", "-", priority=1), Group("chat", "-", priority=2)
    problem = window([[1], [1]], [[1], [1]], *groups, demand=[6, 6], group_of=[0, 1])
    solution = plan(replace(problem, resources=[capacity_of(problem, 0, 8)]))
    assert solution.shed == pytest.approx([4 / 6, 0])


def test_the_higher_priority_keeps_its_floor_where_both_cannot() -> None:
    groups = Group("code", "-", 1, floor=1.0), Group("chat", "-", 2, floor=1.0)
    problem = window([[1, 1]] * 2, [[0, 1]] * 2, *groups, group_of=[0, 1])
    solution = plan(replace(problem, resources=[capacity_of(problem, 1, 1.5)]))
    assert solution.accuracy == pytest.approx([0.5, 1])


def test_no_good_of_a_lower_priority_outweighs_the_least_of_a_higher_one() -> None:
    groups = Group("code", "-", 2, floor=1.0), Group("chat", "-", 1, floor=1.0)
    problem = window([[1, 1]] * 2, [[0, 1]] * 2, *groups, group_of=[0, 1])
    # The last thousandth of the first class's accuracy takes as much as all of the second's.
    gpu = Resource("gpu", np.array([[0.0, 1000.0], [0.0, 1.0]]), 1000)
    assert plan(replace(problem, resources=[gpu])).accuracy == pytest.approx([1, 0])


def test_groups_of_one_priority_count_alike_whatever_their_demand() -> None:
    groups = Group("large", "-", floor=1.0), Group("small", "-", floor=1.0)
    costs, right = [[1, 5], [1, 5]], [[0, 1], [0, 1]]
    problem = window(costs, right, *groups, demand=[99, 1], group_of=[0, 1])
    solution = plan(replace(problem, resources=[capacity_of(problem, 1, 50)]))
    assert solution.accuracy == pytest.approx([49 / 99, 1])


@pytest.mark.parametrize(("floor_first", "kind"), [(False, "floor"), (True, "slo")])
def test_a_class_says_which_of_floor_and_slo_is_given_up_first(
    floor_first: bool, kind: str
) -> None:
    group = Group("code", "-", floor=0.9, miss_max=0.1, floor_before_slo=floor_first)
    problem = two_models(group, miss=[[0.0, 0.5]])
    assert [breach.kind for breach in plan(problem).breaches] == [kind]


def test_a_pin_that_cannot_be_kept_is_named_and_sheds_nothing() -> None:
    problem = two_models(demand=[10])
    problem = replace(
        problem, pins=[Pin(0, 1, share_min=0.5)], resources=[capacity_of(problem, 1, 2)]
    )
    solution = plan(problem)
    assert solution.shed.tolist() == [0]
    assert only_breach(solution) == ("pin", "code: m1 at least", 0.5, pytest.approx(0.2))


def test_a_breach_names_the_payer_where_a_class_has_several() -> None:
    groups = Group("code", "team-a", floor=1.0), Group("code", "team-b", floor=0.1)
    solution = plan(window([[1], [1]], [[0.5], [0.5]], *groups, group_of=[0, 1]))
    assert [breach.name for breach in solution.breaches] == ["code (team-a)"]


def test_prices_are_nano_dollars_per_unit_of_what_the_row_counts() -> None:
    solution = plan(two_models(code(floor=0.75), demand=[1000]))
    # From half right to all right costs 4 a request: 8 for each answer more that is right.
    assert solution.duals["floor:code"] == pytest.approx(8)


def test_costs_are_told_by_group_and_by_budget() -> None:
    groups = Group("code", "-"), Group("chat", "-")
    problem = window([[2], [3]], [[1], [1]], *groups, demand=[10, 100], group_of=[0, 1])
    chat = Budget("chat", np.array([False, True]), 1e9)
    solution = plan(replace(problem, budgets=[chat]))
    assert solution.group_cost_nano_usd.tolist() == [20, 300]
    assert solution.budget_cost_nano_usd.tolist() == [300]
    assert solution.cost_nano_usd == 320


class TestCellsWithoutDemand:
    def test_one_whose_group_has_demand_follows_the_prices(self) -> None:
        # The floor makes the live cell mix, so an answer more that is right is worth 8 there; in
        # the second cell it costs 4, in the third 40.
        problem = window(
            [[1, 5], [1, 3], [1, 21]],
            [[0.5, 1.0]] * 3,
            code(floor=0.75),
            demand=[1, 0, 0],
        )
        assert plan(problem).shares[1:].tolist() == [[0, 1], [1, 0]]

    def test_of_equally_dear_models_the_more_accurate_one_is_taken(self) -> None:
        problem = window([[1, 5]] * 2, [[0.5, 1.0]] * 2, code(floor=0.75), demand=[1, 0])
        assert plan(problem).shares[1].tolist() == [0, 1]

    @pytest.mark.parametrize("seed", range(10))
    def test_rounding_does_not_decide_between_models_that_the_prices_make_equal(
        self, seed: int
    ) -> None:
        # Both cells are alike, so at the prices the two models of the live one's mix are equal.
        random = np.random.default_rng(seed)
        costs, accuracies = np.sort(random.uniform(1, 9, 2)), np.sort(random.uniform(0.5, 1, 2))
        floor = float(accuracies.mean())
        problem = window([costs.tolist()] * 2, [accuracies.tolist()] * 2, code(floor=floor))
        assert plan(replace(problem, demand=np.array([1.0, 0.0]))).shares[1].tolist() == [0, 1]

    def test_a_group_without_demand_is_planned_as_if_every_cell_had_a_request(self) -> None:
        solution = plan(two_models(code(floor=0.75), demand=[0]))
        assert solution.shares == pytest.approx(np.array([[0.5, 0.5]]))
        assert solution.accuracy == pytest.approx([0.75])
        assert solution.cost_nano_usd == 0

    def test_a_floor_that_no_traffic_could_meet_is_named_before_there_is_any(self) -> None:
        solution = plan(window([[1]], [[0.5]], code(floor=0.9), demand=[0]))
        assert only_breach(solution) == ("floor", "code", 0.9, pytest.approx(0.5))

    def test_they_share_the_shed_fraction_of_their_group(self) -> None:
        problem = window([[1], [1]], [[1], [1]], demand=[10, 0])
        solution = plan(replace(problem, resources=[capacity_of(problem, 0, 5)]))
        assert solution.shares == pytest.approx(np.array([[0.5], [0.5]]))

    def test_a_model_without_any_capacity_gets_none_of_them(self) -> None:
        groups = Group("code", "-"), Group("chat", "-")
        problem = window([[1, 5]] * 3, [[1, 1]] * 3, *groups, demand=[1, 0, 0], group_of=[0, 0, 1])
        solution = plan(replace(problem, resources=[capacity_of(problem, 0, 0)]))
        assert solution.shares.tolist() == [[0, 1]] * 3

    def test_a_group_without_demand_pays_the_price_of_capacity(self) -> None:
        groups = Group("code", "-"), Group("chat", "-")
        problem = window([[1, 5]] * 2, [[1, 1]] * 2, *groups, demand=[10, 0], group_of=[0, 1])
        problem = replace(problem, resources=[capacity_of(problem, 0, 4)])
        problem = replace(problem, cost_nano_usd=np.array([[1.0, 5.0], [1.0, 4.0]]))
        assert plan(problem).shares[1].tolist() == [0, 1]


class TestDegenerateWindows:
    def test_no_demand_at_all(self) -> None:
        solution = plan(two_models(demand=[0]))
        assert solution.shares.tolist() == [[1, 0]]
        assert solution.breaches == ()

    def test_no_cell_at_all(self) -> None:
        empty = window([[1, 1]], [[1, 1]])
        nothing = replace(
            empty,
            group_of=empty.group_of[:0],
            demand=empty.demand[:0],
            cost_nano_usd=empty.cost_nano_usd[:0],
            accuracy=empty.accuracy[:0],
            miss=empty.miss[:0],
            allowed=empty.allowed[:0],
        )
        solution = plan(nothing)
        assert solution.shares.shape == (0, 2)
        assert solution.breaches == ()

    def test_one_model(self) -> None:
        solution = plan(window([[1], [2]], [[0.9], [0.8]], code(floor=0.85)))
        assert solution.shares.tolist() == [[1], [1]]
        assert solution.breaches == ()

    def test_all_masked_but_one(self) -> None:
        problem = replace(two_models(code(floor=0.9)), allowed=np.array([[True, False]]))
        assert plan(problem).shares.tolist() == [[1, 0]]

    def test_no_capacity_sheds_everything(self) -> None:
        problem = two_models(code(floor=0.9, miss_max=0.1))
        problem = replace(problem, resources=[Resource("all", np.ones((1, 2)), 0)])
        solution = plan(problem)
        assert solution.shed.tolist() == [1]
        assert solution.shares.tolist() == [[0, 0]]
        assert [breach.kind for breach in solution.breaches] == ["capacity"]

    def test_next_to_no_capacity_is_not_overrun(self) -> None:
        problem = two_models(demand=[1e6])
        solution = plan(replace(problem, resources=[capacity_of(problem, 0, 1e-3)]))
        assert solution.shares[0, 0] * 1e6 <= 1e-3 * (1 + 1e-9)

    def test_models_that_are_free(self) -> None:
        solution = plan(window([[0, 0]], [[0.5, 1.0]], code(floor=0.75)))
        assert solution.accuracy[0] >= 0.75 - 1e-9
        assert solution.certificate.duality_gap <= 1e-9

    def test_a_floor_at_exactly_what_is_reachable_is_no_breach(self) -> None:
        problem = window([[1, 3]] * 3, [[0.7, 0.9]] * 3, code(floor=0.9))
        assert plan(problem).breaches == ()

    def test_bounds_of_0_and_1(self) -> None:
        problem = two_models(code(floor=1.0, miss_max=0.0))
        assert plan(problem).shares.tolist() == [[0, 1]]


def large() -> Problem:
    random = np.random.default_rng(3)
    shape = (60, 8)
    return window(
        random.uniform(1, 100, shape).tolist(),
        random.uniform(0.5, 1, shape).tolist(),
        code(floor=0.8),
    )


def test_a_solver_that_runs_out_of_time_is_a_failure_not_a_plan() -> None:
    failure = solve(large(), Deadline(1e-9, time.monotonic))
    assert isinstance(failure, Failure)
    assert failure.status == "limit"
    assert "limit" in failure.message.lower()


def test_shares_and_the_shed_fraction_add_up_to_exactly_1_in_any_order() -> None:
    problem = large()
    solution = plan(replace(problem, resources=[Resource("all", np.ones((60, 8)), 40 / 3)]))
    assert 0 < solution.shed[0] < 1
    order = np.random.default_rng(0).permutation(8)
    assert set((solution.shares.sum(axis=1) + solution.shed[0]).tolist()) == {1.0}
    assert set((solution.shed[0] + solution.shares[:, order].sum(axis=1)).tolist()) == {1.0}
