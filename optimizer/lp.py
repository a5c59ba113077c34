"""The window's linear programme: which share of each cell goes to which model.

Cells i, each of one group g (a class and a payer) and of one pool p within it (those that the same
models may serve); models m; resources r; budgets b.
Given for one window: demand d_i; of a request of cell i at model m the cost k_im, the accuracy
a_im, the chance t_im of missing the SLO (or failing) and the use u_imr of resource r.
Sought: the share x_im >= 0 of cell i that goes to m, and the fraction z_p >= 0 of a pool that is
shed: one for no more than the pool, or requests would be refused for models that could never serve
them. What is shed is spread evenly before any bound is looked at (`spreading`), so that no domain
is refused to lift a mean.

    minimise    sum_im d_i k_im x_im
    subject to  sum_m x_im + z_p = 1                                  every cell i of p
                sum_{i in g, m} d_i (floor_g - a_im) x_im <= 0        every floor
                sum_{i in g, m} d_i (t_im - miss_max_g) x_im <= 0     every SLO
                sum_{i in g, m} d_i (least_p - [m = m_p]) x_im <= 0   every pin; likewise at most
                sum_im d_i u_imr x_im <= capacity_r                   every resource
                sum_{i in b, m} d_i k_im x_im <= pace_b               every budget

Floors, SLOs and pins bound means over what is served, and sum_m x_im is what is served of a cell:
so they are linear. A floor may hold for each domain of a group by itself, too; and a group that
buys accuracy seeks the most of it within all these, and then the least cost (`money_rows`). First
all must hold and nothing is shed: one solve. Only if that is infeasible do bounds give way, in the
order of `lexicographic`; capacity always holds.
"""

import numpy as np

from optimizer import idle, short
from optimizer.certificate import Errors, Optimum
from optimizer.constraints import live_cells
from optimizer.deadline import Deadline
from optimizer.lexicographic import cheapest
from optimizer.planned import Planned, solution_of
from optimizer.prices import duals
from optimizer.problem import Problem
from optimizer.programme import programme
from optimizer.shares import table
from optimizer.solution import Failure, Solution

# To solve fewer pairs of a cell and a model as a whole is quicker than to sift them.
WHOLE_PAIRS_MAX = 10_000


def solve(
    problem: Problem, deadline: Deadline, *, whole_pairs_max: int = WHOLE_PAIRS_MAX
) -> Solution | Failure:
    """What cannot be met is named in the plan; a Failure means that there is no plan to trust.

    The deadline is for all runs of the solver together: one where all holds, four where only a
    pace is short, mostly one more for each other level that is; as many again where floors may fall
    for a pace that is short. When it is reached, the best plan that was found by then is the
    answer, and says that it was stopped.
    """
    whole = _solved(short.held(problem), deadline, whole_pairs_max)
    eased = short.eased(problem, whole) if isinstance(whole, Solution) else None
    if eased is None:
        return whole
    plan = _solved(eased, deadline, whole_pairs_max)
    # What nobody vouches for is no reason to let a floor fall.
    return plan if isinstance(plan, Solution) and not plan.certificate.stopped else whole


def _solved(problem: Problem, deadline: Deadline, whole_pairs_max: int) -> Solution | Failure:
    plan = _live_plan(problem, deadline, whole_pairs_max)
    if isinstance(plan, Planned):
        plan = _with_idle_cells(problem, plan, deadline, whole_pairs_max)
    return solution_of(problem, plan) if isinstance(plan, Planned) else plan


def _live_plan(problem: Problem, deadline: Deadline, whole_pairs_max: int) -> Planned | Failure:
    """Cells without demand are left empty."""
    shares, nothing = np.zeros(problem.cost_nano_usd.shape), np.zeros(problem.pool_count)
    if not live_cells(problem).size:
        return Planned(shares, nothing, {}, Errors(0.0, 0.0))
    built = programme(problem)
    sifted = built.shed_start > whole_pairs_max
    optimum = cheapest(problem, built, deadline, sifted=sifted)
    if not sifted and _is_imprecise(optimum):  # small numbers beside large ones: other columns help
        again = cheapest(problem, built, deadline, sifted=True)
        optimum = again if isinstance(again, Optimum) else optimum
    if isinstance(optimum, Failure):
        return optimum
    vertex, errors, stopped = optimum
    shares[built.pairs.live] = table(problem, built, vertex)
    shed = vertex.x[built.shed_start : built.largest_shed]
    return Planned(shares, shed, duals(built, vertex), errors, stopped)


def _is_imprecise(found: Optimum | Failure) -> bool:
    """Whether rounding, and not the time, kept a plan from being certain."""
    if isinstance(found, Failure):
        return found.status != "limit"
    return found.stopped == "precision"


def _with_idle_cells(
    problem: Problem, plan: Planned, deadline: Deadline, whole_pairs_max: int
) -> Planned | Failure:
    """A cell whose group has demand follows the prices; other groups are planned on their own."""
    live, shares = live_cells(problem), plan.shares.copy()
    silent = np.setdiff1d(np.arange(problem.demand.size), live)
    follows = np.isin(problem.group_of[silent], problem.group_of[live])
    following, alone = silent[follows], silent[~follows]
    shares[following] = idle.at_prices(problem, plan.prices, plan.shed, following)
    plan = plan._replace(shares=shares)
    if not alone.size:
        return plan
    own = _live_plan(idle.nominal(problem, plan.prices, alone), deadline, whole_pairs_max)
    if isinstance(own, Failure):
        if own.status != "limit":
            return own
        shares[alone] = idle.most_accurate(problem, alone)
        return plan._replace(stopped="time")
    shares[alone] = own.shares
    return plan._replace(
        prices={**plan.prices, **own.prices},
        errors=Errors(*np.maximum(plan.errors, own.errors).tolist()),
        stopped=plan.stopped or own.stopped,
    )
