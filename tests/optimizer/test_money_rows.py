"""What money moves: accuracy that a pace buys, and floors that give way to one that is short."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.prices import charged_cost
from optimizer.problem import Budget, Floats, Group, Problem
from optimizer.solution import Solution
from tests.optimizer.enumeration import asked_of, best
from tests.optimizer.given_up import excesses, given_up
from tests.optimizer.windows import capacity_of, plan, problems, wide_demands, window

small = problems(models_max=2, moved=True)
anything = problems(cells_max=6, models_max=4, groups_max=3, pinned=True, moved=True)
wide = problems(cells_max=6, models_max=4, groups_max=3, demand=wide_demands, moved=True)
NAMED = 1e-8


@settings(max_examples=60)
@given(small)
def test_no_corner_of_the_window_is_better_where_money_moves_the_mix(problem: Problem) -> None:
    asked = asked_of(problem)
    assert given_up(asked, plan(problem)) == pytest.approx(best(asked), abs=1e-6)


@pytest.mark.slow
@settings(max_examples=150)
@given(problems(pinned=True, moved=True))
def test_no_corner_is_better_with_three_models_and_pins(problem: Problem) -> None:
    asked = asked_of(problem)
    assert given_up(asked, plan(problem)) == pytest.approx(best(asked), abs=1e-6)


@settings(max_examples=30)
@given(anything | wide)
def test_every_bound_that_is_not_named_holds(problem: Problem) -> None:
    solution = plan(problem)
    named = {(breach.kind, breach.name) for breach in solution.breaches}
    found = excesses(problem, solution)
    for (kind, name), over in found.items():
        # A floor that gave way is named as short, with the whole of it.
        short = kind == "floor" and ("short", name) in named
        assert over <= NAMED or (kind, name) in named or short or kind == "short", (kind, name)


@settings(max_examples=30)
@given(anything)
def test_with_all_charges_no_model_is_cheaper_than_those_a_cell_is_sent_to(
    problem: Problem,
) -> None:
    whole = tuple(replace(group, floor_when_short=None) for group in problem.groups)
    asked = replace(problem, groups=whole)
    solution = plan(asked)
    charged = np.where(asked.allowed, charged_cost(asked, solution.duals), np.inf)
    used = (solution.shares > 1e-6) & (asked.demand > 0)[:, None]
    beyond = np.where(used, charged - charged.min(axis=1, keepdims=True), 0.0)
    assert beyond.max() <= 1e-6 * (1 + max(solution.duals.values(), default=0.0))


def team(**changes: object) -> Group:
    return Group("code", "team", **changes)  # type: ignore[arg-type]


def paced(problem: Problem, *paces: float) -> Problem:
    """A budget for each group: team 0, team 1."""
    budgets = [Budget(f"team {g}", problem.group_of == g, pace) for g, pace in enumerate(paces)]
    return replace(problem, budgets=budgets)


def two_models(group: Group, pace: float) -> Problem:
    """A cheap one that is right half of the time, and a dear one that always is."""
    return paced(window([[1, 5]], [[0.5, 1.0]], group), pace)


def test_a_pace_buys_the_most_accuracy_that_it_can() -> None:
    solution = plan(two_models(team(best_within_budget=True), 3))
    assert solution.shares == pytest.approx(np.array([[0.5, 0.5]]))
    assert solution.cost_nano_usd == pytest.approx(3)
    assert solution.breaches == ()


def test_what_more_accuracy_could_not_use_is_not_spent() -> None:
    problem = paced(window([[1, 5, 9]], [[0.5, 1.0, 1.0]], team(best_within_budget=True)), 1_000)
    solution = plan(problem)
    assert solution.shares == pytest.approx(np.array([[0, 1, 0]]))


def test_who_draws_on_no_budget_costs_the_least() -> None:
    problem = window([[1, 5]], [[0.5, 1.0]], team(best_within_budget=True))
    assert plan(problem).shares.tolist() == [[1, 0]]


def test_money_goes_where_it_buys_most_among_those_who_share_it() -> None:
    # An answer more that is right costs 4 in the first class and 40 in the second.
    groups = [Group(name, "team", best_within_budget=True) for name in ("code", "chat")]
    problem = window([[1, 3], [1, 21]], [[0.5, 1.0]] * 2, *groups, group_of=[0, 1])
    shared = replace(problem, budgets=[Budget("team", np.array([True, True]), 9)])
    assert plan(shared).shares == pytest.approx(np.array([[0, 1], [0.75, 0.25]]))


def test_a_small_team_buys_as_exactly_as_a_large_one() -> None:
    groups = [Group("code", f"team {g}", best_within_budget=True) for g in (0, 1)]
    problem = window([[1, 5], [1, 5]], [[0.5, 1.0]] * 2, *groups, group_of=[0, 1], demand=[1e7, 1])
    shares = plan(paced(problem, 3e7, 2)).shares
    assert shares == pytest.approx(np.array([[0.5, 0.5], [0.75, 0.25]]), abs=1e-5)


def test_a_floor_gives_way_to_a_short_pace_as_far_as_it_may() -> None:
    group = team(floor=0.75, floor_when_short=0.6)
    assert plan(two_models(group, 2.5)).accuracy == pytest.approx([0.6875])
    solution = plan(two_models(group, 1))
    assert solution.accuracy == pytest.approx([0.6])
    named = {breach.kind: (breach.bound, breach.best) for breach in solution.breaches}
    assert named["short"] == pytest.approx((0.75, 0.6))
    assert named["pace"] == pytest.approx((1, 1.8))


def test_half_and_a_tenth_of_the_need_are_three_mixes_where_a_floor_may_fall() -> None:
    may, must = team(floor=0.75, floor_when_short=0.55), team(floor=0.75)
    for group, kinds in ((may, 3), (must, 1)):
        spent = [round(plan(two_models(group, 3 * part)).cost_nano_usd, 6) for part in _PARTS]
        assert len(set(spent)) == kinds


_PARTS = (2.0, 0.5, 0.1)


def test_what_is_short_of_capacity_moves_no_floor_that_may_fall_for_money() -> None:
    # The dear model has room for one of two requests: the higher class keeps its whole floor.
    groups = [
        Group("code", "team", priority=1, floor=1.0, floor_when_short=0.5),
        Group("chat", "-", floor=1.0),
    ]
    problem = paced(window([[1, 5]] * 2, [[0.5, 1.0]] * 2, *groups, group_of=[0, 1]), 1_000)
    problem = replace(problem, resources=[capacity_of(problem, 1, 1)])
    assert plan(problem).accuracy == pytest.approx([1.0, 0.5])


def test_of_two_floors_that_may_fall_that_of_the_lower_priority_falls() -> None:
    groups = [
        Group(name, "team", priority=p, floor=1.0, floor_when_short=0.5)
        for name, p in (("code", 1), ("chat", 0))
    ]
    problem = window([[1, 5]] * 2, [[0.5, 1.0]] * 2, *groups, group_of=[0, 1])
    shared = replace(problem, budgets=[Budget("team", np.array([True, True]), 6)])
    assert plan(shared).accuracy == pytest.approx([1.0, 0.5])


def of_two_domains(group: Group, demand: list[float]) -> Problem:
    """The dear model is worth little in the second domain."""
    problem = window([[1, 5], [1, 5]], [[0.5, 1.0], [0.4, 0.6]], group, demand=demand)
    return replace(problem, domains=np.array([0, 1]), domain_names=("law", "physics"))


def test_a_mean_hides_no_domain_that_is_below_the_floor_of_domains() -> None:
    hidden = plan(of_two_domains(team(floor=0.8), [9, 1]))
    assert hidden.shares[1].tolist() == [1, 0]
    solution = plan(of_two_domains(team(floor=0.8, domain_floor=0.5), [9, 1]))
    assert solution.shares[1] == pytest.approx([0.5, 0.5])
    assert solution.accuracy == pytest.approx([0.8])
    assert solution.breaches == ()


def test_a_domain_that_no_model_serves_well_enough_is_named_with_the_best() -> None:
    solution = plan(of_two_domains(team(floor=0.5, domain_floor=0.7), [9, 1]))
    (breach,) = solution.breaches
    assert (breach.kind, breach.name) == ("domain", "code: physics")
    assert (breach.bound, breach.best) == pytest.approx((0.7, 0.6))
    assert solution.certificate.relaxed == "domain"


def test_a_rare_domain_is_held_as_exactly_as_a_frequent_one() -> None:
    solution = plan(of_two_domains(team(floor=0.5, domain_floor=0.5), [1e7, 1]))
    assert solution.shares[1] == pytest.approx([0.5, 0.5], abs=1e-5)


# Teams with their own money: what one may spend is nothing to the others.
@st.composite
def teams(draw: st.DrawFn) -> tuple[Problem, float]:
    """Three teams that share no capacity, and what part of its pace the last has left."""
    count, models = 3, draw(st.integers(2, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))  # no ties: one best plan each
    groups = []
    for g in range(count):
        floor = draw(st.floats(0.3, 0.8))
        groups.append(
            Group(
                "chat",
                f"team {g}",
                priority=draw(st.integers(0, 1)),
                floor=floor,
                floor_when_short=draw(st.none() | st.just(floor / 2)),
                best_within_budget=draw(st.booleans()),
                miss_max=draw(st.none() | st.just(0.3)),
            )
        )
    group_of = np.repeat(np.arange(count), 2)
    shape = (group_of.size, models)
    problem = window(
        (10 + 990 * random.random(shape)).tolist(),
        (0.2 + 0.8 * random.random(shape)).tolist(),
        *groups,
        group_of=group_of.tolist(),
        demand=(1 + 99 * random.random(group_of.size)).tolist(),
        miss=(0.4 * random.random(shape)).tolist(),
    )
    pace = float(problem.demand @ problem.cost_nano_usd.mean(axis=1)) / count
    paces = [pace * draw(st.floats(0.1, 2.0)) for _ in range(count)]
    return paced(problem, *paces), draw(st.sampled_from([0.0, 0.01, 0.5, 3.0]))


def of_others(problem: Problem, solution: Solution) -> tuple[Floats, Floats, Floats]:
    """Shares, accuracy and bills of all teams but the last."""
    cells = problem.group_of < len(problem.groups) - 1
    return (
        solution.shares[cells],
        solution.accuracy[:-1],
        solution.group_cost_nano_usd[:-1] / solution.group_cost_nano_usd[:-1].max(),
    )


@settings(max_examples=60)
@given(teams())
def test_what_one_team_has_left_changes_nothing_for_the_others(
    drawn: tuple[Problem, float],
) -> None:
    problem, part = drawn
    *others, last = problem.budgets
    moved = replace(last, pace_nano_usd=last.pace_nano_usd * part)
    before = of_others(problem, plan(problem))
    after = of_others(problem, plan(replace(problem, budgets=[*others, moved])))
    for left, right in zip(before, after, strict=True):
        assert left == pytest.approx(right, abs=1e-6)
