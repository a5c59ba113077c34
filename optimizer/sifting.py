"""Solves a large programme with few of its columns.

Few rows couple the cells of a window, so in any answer almost every cell has one model. A solve
looks at the pairs that a start uses; its prices show which of the others would pay, those are taken
in, and so on until none is left. What its prices prove holds for the whole programme, so an answer
that was sifted is certified as any other. A cell with one pair is no unknown: what it is not served
is what its pool is shed.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from optimizer.deadline import Deadline
from optimizer.problem import Bools, Floats, Ints
from optimizer.programme import Programme
from optimizer.solution import Failure
from optimizer.vertex import INFEASIBLE, LIMIT, OPTIMAL, TOLERANCE, Infeasible, Target, Vertex

# Relative: a tenth of what a certificate allows.
_GAP = 1e-10
# It takes some ten rounds; more than these mean that rounding keeps the gap open.
_ROUNDS_MAX = 60
# Pairs that a round takes in, by cells: with more each solve is slow, with fewer there are many.
_TAKEN_MIN, _TAKEN_PART = 400, 5
# Beyond so many times what a round takes in, the pairs that are furthest from paying are left out.
_KEPT_MAX = 6
# How far the prices, by which pairs are taken in, stay with the best so far: others swing.
_STEADY = 0.7
# A smaller share is none.
_SHARE_MIN = 1e-12
# The solver's tolerance is absolute, so the largest number of an objective is at least this.
_COST_MIN = 1e4
# Where the first cannot be trusted: the presolve now and then loses its way.
_ATTEMPTS: tuple[tuple[Literal["highs-ds", "highs-ipm"], bool], ...] = (
    ("highs-ds", True),
    ("highs-ds", False),
    ("highs-ipm", True),
)


class _Priced(NamedTuple):
    """What prices say of the whole programme."""

    prices: Floats  # (R + caps,)
    reduced: Floats  # (N,) of every pair
    least: Floats  # (L,) of every cell
    bound: float  # no answer costs less


class _Master(NamedTuple):
    """The programme of the pairs that are looked at, without the cells that have one."""

    single: Ints  # pairs that are alone in their cell
    free: Ints  # the others
    cost: Floats
    rows: sparse.csc_array
    limits: Floats
    seats: sparse.csc_array
    upper: Floats
    fixed_cost: float  # of the single pairs


class _Result(NamedTuple):
    """What the solver says of a master, unscaled."""

    status: int
    message: str
    x: Floats = np.empty(0)
    prices: Floats = np.empty(0)
    cost: float = 0.0  # of the single pairs too


class Sifting:
    """One target of a programme."""

    def __init__(self, programme: Programme, target: Target) -> None:
        self._programme, self._target = programme, target
        self._seat = programme.pairs.seat
        self._starts = np.searchsorted(self._seat, np.arange(programme.pairs.live.size))
        self._pairs = programme.shed_start
        self._pools = programme.slack_start - programme.shed_start
        self._tail = _tail(programme, target)
        self._limits = np.append(programme.limits, [cap.limit for cap in target.caps])
        self._cost, self._tail_cost = np.split(target.cost, [self._pairs])
        self._tail_upper = target.upper[self._pairs :]
        self._scale = max(_COST_MIN / (float(target.cost.max(initial=0.0)) or 1.0), 1.0)
        self._best: _Priced | None = None  # of the prices so far, those that prove most
        self._take = max(_TAKEN_MIN, programme.pairs.live.size // _TAKEN_PART)

    def answer(self, start: Floats, deadline: Deadline) -> Vertex | Infeasible | Failure:
        """The optimum, or what was reached when time was over; infeasible for the start's pairs."""
        kept, attempt = self._started(start), 0
        found: Vertex | None = None
        for _ in range(_ROUNDS_MAX):
            master = self._master(kept)
            result = self._solved(master, attempt, deadline)
            if result.status in (LIMIT, INFEASIBLE):
                return found or _unsolved(result)
            if result.status == OPTIMAL:
                priced = self._priced(result.prices)
                found = self._vertex(master, result.x, priced)
                if result.cost - priced.bound <= _GAP * max(abs(result.cost), 1.0):
                    return found
                taken = self._paying(kept, priced)
                self._leave_out(kept, master, result.x, priced)
                kept[taken] = True
                if taken.size:
                    continue
            if attempt == len(_ATTEMPTS) - 1:
                return found or _unsolved(result)
            attempt += 1
        return found or Failure("solver", f"not done after {_ROUNDS_MAX} rounds")

    def _started(self, start: Floats) -> Bools:
        """The pairs of the start; a cell that it sheds whole has its cheapest one."""
        kept: Bools = start[: self._pairs] > _SHARE_MIN
        missing = ~np.logical_or.reduceat(kept, self._starts)
        return kept | (missing[self._seat] & first_of(self._cost, self._seat, self._starts))

    def _master(self, kept: Bools) -> _Master:
        count = np.add.reduceat(kept.astype(np.int64), self._starts)
        looked = np.flatnonzero(kept)
        alone = count[self._seat[looked]] == 1
        single, free = looked[alone], looked[~alone]
        many = np.flatnonzero(count > 1)
        into_pool = self._into_pool(single)
        fixed = self._programme.by_column[:, single]
        rows = self._with_caps(self._programme.by_column[:, free])
        tail = self._tail - self._with_caps(fixed @ into_pool)
        place = np.searchsorted(many, self._seat[free])
        row = np.append(place, np.arange(many.size))
        column = np.append(np.arange(free.size), free.size + self._programme.pool[many])
        width = free.size + self._tail_cost.size
        return _Master(
            single=single,
            free=free,
            cost=np.append(self._cost[free], self._tail_cost - into_pool.T @ self._cost[single]),
            rows=sparse.hstack([rows, tail], format="csc"),
            limits=self._limits - self._with_caps(fixed).sum(axis=1),
            seats=sparse.csc_array((np.ones(row.size), (row, column)), shape=(many.size, width)),
            upper=np.append(self._target.upper[free], self._tail_upper),
            fixed_cost=float(self._cost[single].sum()),
        )

    def _into_pool(self, single: Ints) -> sparse.csc_array:
        pool = self._programme.pool[self._seat[single]]
        shape = single.size, self._tail_cost.size
        return sparse.csc_array((np.ones(single.size), (np.arange(single.size), pool)), shape=shape)

    def _with_caps(self, columns: sparse.csc_array) -> sparse.csc_array:
        """Pairs are in no cap."""
        return sparse.csc_array(
            (columns.data, columns.indices, columns.indptr),
            shape=(self._limits.size, columns.shape[1]),
        )

    def _solved(self, master: _Master, attempt: int, deadline: Deadline) -> _Result:
        method, presolve = _ATTEMPTS[attempt]
        left_s = deadline.left_s()
        if not left_s:
            return _Result(LIMIT, "the time limit was reached before a solve began")
        seats = master.seats.shape[0]
        result = linprog(  # type: ignore[call-overload]  # the stubs know no sparse rows
            master.cost * self._scale,
            A_ub=master.rows,
            b_ub=master.limits,
            A_eq=master.seats if seats else None,
            b_eq=np.ones(seats) if seats else None,
            bounds=np.column_stack([np.zeros(master.upper.size), master.upper]),
            method=method,
            options={
                "presolve": presolve,
                "time_limit": left_s,
                "primal_feasibility_tolerance": TOLERANCE,
                "dual_feasibility_tolerance": TOLERANCE,
            },
        )
        if result.status != OPTIMAL:
            return _Result(result.status, result.message)
        prices = np.maximum(-result.ineqlin.marginals, 0.0) / self._scale
        return _Result(OPTIMAL, "", result.x, prices, result.fun / self._scale + master.fixed_cost)

    def _priced(self, prices: Floats) -> _Priced:
        of_rows = prices[: self._programme.limits.size]
        reduced = self._cost + (self._programme.rows.T @ of_rows)[: self._pairs]
        least = np.minimum.reduceat(reduced, self._starts)
        tail = self._tail_cost + self._tail.T @ prices
        tail[: self._pools] -= np.bincount(self._programme.pool, least, self._pools)
        bound = least.sum() - self._limits @ prices + np.minimum(tail, 0.0) @ self._tail_upper
        return _Priced(prices, reduced, least, float(bound))

    def _paying(self, kept: Bools, priced: _Priced) -> Ints:
        """What would pay at these prices, and at those between them and the best so far."""
        best = priced if self._best is None or priced.bound > self._best.bound else self._best
        steady = self._priced(_STEADY * best.prices + (1 - _STEADY) * priced.prices)
        self._best = steady if steady.bound > best.bound else best
        return np.append(self._best_paying(kept, priced), self._best_paying(kept, steady))

    def _best_paying(self, kept: Bools, priced: _Priced) -> Ints:
        """The best pair of each cell where it would pay, those first that would most."""
        looked = np.minimum.reduceat(np.where(kept, priced.reduced, np.inf), self._starts)
        gain = (looked - priced.least)[self._seat]
        paying = np.flatnonzero((priced.reduced <= priced.least[self._seat]) & ~kept & (gain > 0))
        return paying[np.argsort(-gain[paying])[: self._take]]

    def _leave_out(self, kept: Bools, master: _Master, x: Floats, priced: _Priced) -> None:
        if master.free.size <= _KEPT_MAX * self._take:
            return
        unused = master.free[x[: master.free.size] <= _SHARE_MIN]
        far = (priced.reduced - priced.least[self._seat])[unused]
        kept[unused[np.argsort(far)[_KEPT_MAX * self._take // 2 :]]] = False

    def _vertex(self, master: _Master, found: Floats, priced: _Priced) -> Vertex:
        x = np.zeros(self._target.upper.size)
        x[master.free], x[self._pairs :] = np.split(found, [master.free.size])
        shed = x[self._pairs : self._pairs + self._pools]
        x[master.single] = 1.0 - shed[self._programme.pool[self._seat[master.single]]]
        of_rows, of_caps = np.split(priced.prices, [self._programme.limits.size])
        return Vertex(x, of_rows, of_caps, priced.least)


def cheapest_start(programme: Programme) -> Floats:
    """(V,) every cell with its cheapest model."""
    seat, start = programme.pairs.seat, np.zeros(programme.upper.size)
    starts = np.searchsorted(seat, np.arange(programme.pairs.live.size))
    start[: seat.size] = first_of(programme.cost[: seat.size], seat, starts)
    return start


def first_of(cost: Floats, seat: Ints, starts: Ints) -> Bools:
    """Of each cell the first pair that costs least."""
    least = np.flatnonzero(cost <= np.minimum.reduceat(cost, starts)[seat])
    _, first = np.unique(seat[least], return_index=True)
    chosen = np.zeros(seat.size, dtype=bool)
    chosen[least[first]] = True
    return chosen


def _tail(programme: Programme, target: Target) -> sparse.csc_array:
    """The rows and caps of what is no pair: shed fractions and slack."""
    start = programme.shed_start
    rows = programme.by_column[:, start:]
    row = np.repeat(np.arange(len(target.caps)), [cap.columns.size for cap in target.caps])
    column = np.concatenate([np.empty(0, np.int64), *(cap.columns for cap in target.caps)]) - start
    weights = np.concatenate([np.empty(0), *(cap.weights for cap in target.caps)])
    caps = sparse.csc_array((weights, (row, column)), shape=(len(target.caps), rows.shape[1]))
    tail: sparse.csc_array = sparse.vstack([rows, caps], format="csc")
    return tail


def _unsolved(result: _Result) -> Infeasible | Failure:
    if result.status == INFEASIBLE:
        return Infeasible()
    return Failure("limit" if result.status == LIMIT else "solver", result.message)
