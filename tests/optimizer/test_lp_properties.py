"""What holds of every window, on small random ones."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.problem import Budget, Group, Ints, Problem, Resource
from tests.optimizer.enumeration import best
from tests.optimizer.given_up import excesses, given_up, no_worse
from tests.optimizer.windows import bounds, capacity_of, plan, problems, wide_demands, window

few = settings(max_examples=30)  # each is several solves

ROUNDING = 1e-9  # what a certificate allows of every row
NAMED = 1e-8  # what is broken by more is named


@pytest.mark.slow
@settings(max_examples=300)
@given(problems(pinned=True))
def test_no_corner_of_the_window_is_better_in_the_lexicographic_order(problem: Problem) -> None:
    assert given_up(problem, plan(problem)) == pytest.approx(best(problem), abs=1e-6)


anything = problems(cells_max=6, models_max=4, groups_max=3, pinned=True)
# From a request in a million windows to a million in one.
wide = problems(cells_max=6, models_max=4, groups_max=3, demand=wide_demands, pinned=True)


@few
@given(anything | wide)
def test_every_bound_that_a_plan_does_not_name_holds(problem: Problem) -> None:
    solution = plan(problem)
    named = {(breach.kind, breach.name) for breach in solution.breaches}
    silent = {key: over for key, over in excesses(problem, solution).items() if key not in named}
    assert max(silent.values(), default=0.0) <= NAMED


@few
@given(anything | wide)
def test_every_breach_that_a_plan_names_is_one(problem: Problem) -> None:
    solution = plan(problem)
    found = excesses(problem, solution)
    assert all(found[breach.kind, breach.name] > NAMED / 2 for breach in solution.breaches)


@few
@given(anything | wide)
def test_capacity_always_holds(problem: Problem) -> None:
    shares = plan(problem).shares
    for resource in problem.resources:
        use = problem.demand[:, None] * resource.use
        noise = 1e-4 * use.max()
        assert (use * shares).sum() <= resource.capacity + ROUNDING * max(resource.capacity, noise)


@few
@given(anything | wide)
def test_shares_are_of_allowed_models_and_add_up_with_what_is_shed(problem: Problem) -> None:
    solution = plan(problem)
    assert (solution.shares >= 0).all()
    assert not solution.shares[~problem.allowed].any()
    assert (solution.shares.sum(axis=1) + solution.shed[problem.pool_of] == 1).all()


@few
@given(anything | wide)
def test_a_plan_is_certified_and_says_whether_anything_gave_way(problem: Problem) -> None:
    solution = plan(problem)
    assert solution.certificate.duality_gap <= ROUNDING
    assert solution.certificate.worst_violation <= ROUNDING
    assert (solution.certificate.relaxed == "none") == (solution.breaches == ())


def lower_floors(problem: Problem) -> Problem:
    lower = [None if g.floor is None else max(g.floor - 0.1, 0.0) for g in problem.groups]
    pairs = zip(problem.groups, lower, strict=True)
    return replace(problem, groups=tuple(replace(g, floor=floor) for g, floor in pairs))


def allow_more_misses(problem: Problem) -> Problem:
    more = [None if g.miss_max is None else min(g.miss_max + 0.1, 1.0) for g in problem.groups]
    pairs = zip(problem.groups, more, strict=True)
    return replace(problem, groups=tuple(replace(g, miss_max=miss) for g, miss in pairs))


def add_capacity(problem: Problem) -> Problem:
    more = [replace(r, capacity=r.capacity * 1.5 + 0.1) for r in problem.resources]
    return replace(problem, resources=more)


def add_pace(problem: Problem) -> Problem:
    more = [replace(b, pace_nano_usd=b.pace_nano_usd * 1.5 + 10) for b in problem.budgets]
    return replace(problem, budgets=more)


@pytest.mark.parametrize("relax", [lower_floors, allow_more_misses, add_capacity, add_pace])
@pytest.mark.slow
@given(problem=anything)
def test_relaxing_a_bound_never_worsens_what_is_given_up(
    relax: Callable[[Problem], Problem], problem: Problem
) -> None:
    eased = relax(problem)
    before, after = plan(problem), plan(eased)
    assert no_worse(given_up(eased, after), given_up(problem, before))


@few
@given(anything)
def test_groups_of_one_pool_each_are_planned_alike_however_pools_are_numbered(
    problem: Problem,
) -> None:
    whole = replace(problem, pools=None)
    numbered = replace(problem, pools=len(problem.groups) - problem.group_of)
    before, after = given_up(whole, plan(whole)), given_up(numbered, plan(numbered))
    assert after == pytest.approx(before, abs=1e-7)


@pytest.mark.slow
@given(anything, st.data())
def test_the_order_of_cells_and_models_changes_nothing(
    problem: Problem, data: st.DataObject
) -> None:
    cells = data.draw(st.permutations(range(problem.demand.size)))
    models = data.draw(st.permutations(range(len(problem.models))))
    turned = permuted(problem, np.array(cells), np.array(models))
    before, after = given_up(problem, plan(problem)), given_up(turned, plan(turned))
    assert after == pytest.approx(before, abs=1e-7)


def permuted(problem: Problem, cells: Ints, models: Ints) -> Problem:
    both = np.ix_(cells, models)
    place = np.argsort(models).tolist()
    return replace(
        problem,
        models=tuple(problem.models[m] for m in models.tolist()),
        group_of=problem.group_of[cells],
        pools=None if problem.pools is None else problem.pools[cells],
        demand=problem.demand[cells],
        cost_nano_usd=problem.cost_nano_usd[both],
        accuracy=problem.accuracy[both],
        miss=problem.miss[both],
        allowed=problem.allowed[both],
        resources=[replace(r, use=r.use[both]) for r in problem.resources],
        budgets=[replace(b, cells=b.cells[cells]) for b in problem.budgets],
        pins=[replace(p, model=place[p.model]) for p in problem.pins],
    )


def random_window(seed: int) -> Problem:
    """Twelve cells whose best plan is unique, as that of real numbers is."""
    random = np.random.default_rng(seed)
    problem = window(
        random.uniform(1, 100, (12, 5)).tolist(),
        random.uniform(0.5, 1, (12, 5)).tolist(),
        Group("code", "-", floor=0.8),
        Group("chat", "-", floor=0.7, miss_max=0.1),
        demand=random.uniform(1, 10, 12).tolist(),
        group_of=[0, 1] * 6,
        miss=random.uniform(0, 0.2, (12, 5)).tolist(),
    )
    return replace(problem, resources=[capacity_of(problem, 0, 20)])


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_cells_and_models_turns_the_plan_and_nothing_else(seed: int) -> None:
    problem, random = random_window(seed), np.random.default_rng(seed)
    cells, models = random.permutation(12), random.permutation(5)
    turned = plan(permuted(problem, cells, models))
    assert turned.shares == pytest.approx(plan(problem).shares[np.ix_(cells, models)], abs=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_ten_times_the_traffic_with_ten_times_the_means_has_the_same_plan(factor: float) -> None:
    problem = random_window(1)
    grown = replace(
        problem,
        demand=problem.demand * factor,
        resources=[replace(r, capacity=r.capacity * factor) for r in problem.resources],
    )
    assert plan(grown).shares == pytest.approx(plan(problem).shares, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_with_a_trillionth_of_the_traffic_has_the_plan_it_would_have_alone(
    seed: int,
) -> None:
    problem = replace(random_window(seed), resources=())
    chat = problem.group_of == 1
    shrunk = replace(problem, demand=np.where(chat, problem.demand * 1e-12, problem.demand))
    assert plan(shrunk).shares == pytest.approx(plan(problem).shares, abs=1e-9)


@st.composite
def wild_windows(draw: st.DrawFn) -> Problem:
    """Demands of 1e-9 to 1e6 requests, costs of 1 to 1e12 nano-dollars, capacity likewise."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells, models = draw(st.integers(1, 10)), draw(st.integers(1, 5))
    shape = cells, models
    problem = window(
        np.round(10.0 ** random.uniform(0, 12, shape)).tolist(),
        np.round(random.uniform(0, 1, shape), 2).tolist(),
        *(Group(f"c{g}", "-", g % 2, draw(bounds), draw(bounds)) for g in range(3)),
        demand=(10.0 ** random.uniform(-9, 6, cells)).tolist(),
        group_of=random.integers(0, 3, cells).tolist(),
        miss=np.round(random.uniform(0, 1, shape), 2).tolist(),
    )
    use = 10.0 ** random.uniform(-3, 3, shape) * (random.random(shape) < 0.5)
    most = float((problem.demand[:, None] * use).sum())
    dearest = float(problem.demand @ problem.cost_nano_usd.max(axis=1))
    pace = dearest * 10.0 ** random.uniform(-6, 0)
    return replace(
        problem,
        resources=[Resource("gpu", use, most * 10.0 ** random.uniform(-6, 0.5))],
        budgets=[Budget("team", random.random(cells) < 0.5, pace)],
    )


@settings(max_examples=100)
@given(wild_windows())
def test_numbers_many_orders_of_magnitude_apart_never_cost_a_window_its_plan(
    problem: Problem,
) -> None:
    certificate = plan(problem).certificate
    assert certificate.stopped == ""
    assert max(certificate.duality_gap, certificate.worst_violation) <= ROUNDING


def test_a_pace_far_beyond_what_a_tiny_cell_could_spend_is_no_trouble() -> None:
    costs = [[1.0, 2.0], [1e12, 2e12]]
    problem = window(costs, [[0.5, 1.0]] * 2, Group("code", "-", floor=0.9), demand=[5e-7, 1e6])
    team = Budget("team", np.array([True, False]), 1e18)
    assert plan(replace(problem, budgets=[team])).certificate.stopped == ""
