"""Puts what is known into the form that the optimizer solves: the problem of one window."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from optimizer.estimate.chain import Chain
from optimizer.estimate.miss import Promise
from optimizer.estimate.usage import Usage
from optimizer.problem import Bools, Floats, Ints, Problem, Resource
from server.config.models import ModelConfig
from server.control.belief import Belief
from server.control.budgets import BudgetState
from server.control.estimates import Estimates
from server.control.facts import Given
from server.control.floors import planned_group, promised_group
from server.control.hourly import Hourly, hourly, like_an_hour
from server.control.pace import Money, reference_cost
from server.routing.catalog import Cell, TrafficClass
from server.routing.price import NS_PER_S, YOCTO_PER_NANO_USD, Price, Rates

# About as many as are solved within a window. The busiest are planned, the rest go by their class.
CELLS_MAX = 10_000
# With more cells than these, what is shed of each would be an unknown that a solve has no time for.
FINE_POOLS_MAX = 1_000
# A request that makes fewer attempts at a model does not count as using its capacity, or every
# column of a programme would be in every row.
REACH_MIN = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """What one solve is about."""

    cells: tuple[Cell, ...]
    problem: Problem
    # With the floors as configured, without margins and accounts: what was promised.
    configured: Problem
    # With the requests of an hour like the last one, for all amounts shown to people.
    typical: Problem
    hourly: Hourly
    window_s: float
    budgets: Mapping[str, BudgetState]
    output_tokens: Floats  # (C, M) expected of an answer
    belief: Belief | None = None  # None: nothing is known beyond the problem's means


def build_window(given: Given, estimates: Estimates) -> Window | None:
    """The next window; None while there is no cell with a model that can serve it."""
    config, now_s = given.config, given.now_s
    per_s = {Cell._make(cell): rate for cell, rate in estimates.demand.per_s().items()}
    cells, allowed = _open_cells(given, _busiest(given, per_s))
    if not cells:
        return None
    models = [model.name for model in config.models]
    usage = estimates.usage.mean(cells, models, now_s)
    classes = _Classes(estimates, cells, models, now_s)
    belief = Belief(estimates.accuracy.posterior(cells, models, now_s), classes.answers)
    names = list(dict.fromkeys(cell[:2] for cell in cells))
    index = {name: i for i, name in enumerate(names)}
    domains = tuple(dict.fromkeys(cell.domain for cell in cells))
    cost = _cost([model.price for model in given.catalog.models], usage, classes)
    problem = Problem(
        models=tuple(models),
        groups=tuple(planned_group(given, estimates, name) for name in names),
        group_of=np.array([index[cell[:2]] for cell in cells]),
        demand=np.array([per_s[cell] * config.window_s for cell in cells]),
        cost_nano_usd=cost,
        accuracy=belief.mean,
        miss=_miss(given, estimates, classes),
        allowed=allowed,
        pools=_pools(cells, allowed),
        resources=_resources(config.models, usage.busy_s, classes, config.window_s),
        domains=np.array([domains.index(cell.domain) for cell in cells]),
        domain_names=domains,
    )
    money = Money(given, estimates.needs, cells, reference_cost(problem), config.window_s)
    money.observe_needs()
    problem = replace(problem, budgets=money.budgets(problem.demand))
    configured = tuple(promised_group(given, name) for name in names)
    an_hour = hourly(given.last_hour, names, now_s=now_s)
    typical = like_an_hour(problem, an_hour, window_s=config.window_s)
    return Window(
        cells=tuple(cells),
        problem=problem,
        configured=replace(problem, groups=configured),
        typical=replace(typical, budgets=money.budgets(typical.demand)),
        hourly=an_hour,
        window_s=config.window_s,
        budgets=given.budgets,
        belief=belief,
        output_tokens=usage.output_tokens,
    )


class _Classes:
    """Carries what models take and give over to the requests that begin with each model."""

    def __init__(
        self, estimates: Estimates, cells: Sequence[Cell], models: Sequence[str], now_s: float
    ) -> None:
        names = list(dict.fromkeys(cell.traffic_class for cell in cells))
        self._names = names
        self._chains = list(estimates.chains.of(names, models, now_s).values())
        index = {name: i for i, name in enumerate(names)}
        self._of = np.array([index[cell.traffic_class] for cell in cells])

    def carried(self, own: Floats, through: Callable[[Chain], sparse.csr_array]) -> Floats:
        """(C, M) by first model, from (C, M) of each model's own."""
        return self._carried(own, [through(chain) for chain in self._chains])

    def answers(self, own: Floats) -> Floats:
        """(C, M) by first model: of who answers in the end."""
        return self._carried(own, self._answering)

    @cached_property
    def _answering(self) -> Sequence[sparse.csr_array]:
        return [chain.answers for chain in self._chains]

    def _carried(self, own: Floats, through: Sequence[sparse.csr_array]) -> Floats:
        carried = np.empty_like(own)
        for k, matrix in enumerate(through):
            rows = self._of == k
            carried[rows] = (matrix @ own[rows].T).T
        return carried

    def by_class(self, rows: Mapping[str, Sequence[float]]) -> Floats:
        """(C, M) from the row of each class."""
        table: Floats = np.array([rows[name] for name in self._names])[self._of]
        return table

    def attempts_at(self, m: int) -> Floats:
        """(C, M) attempts at one model of a request, by its first model."""
        reach = np.array([chain.reach[:, [m]].toarray()[:, 0] for chain in self._chains])
        use: Floats = np.where(reach < REACH_MIN, 0.0, reach)[self._of]
        return use


def _busiest(given: Given, per_s: Mapping[Cell, float]) -> list[Cell]:
    """Without what the configuration no longer has: nobody asks for it, and it is no news."""
    groups, kinds = given.catalog.groups(), given.catalog.unfit
    known = [cell for cell in per_s if cell[:2] in groups and cell.kind in kinds]
    # Of equals the first known; sorted by numpy, which lets others have the interpreter meanwhile.
    order = np.argsort([-per_s[cell] for cell in known], kind="stable")[:CELLS_MAX]
    return [known[place] for place in order.tolist()]


def _open_cells(given: Given, cells: Sequence[Cell]) -> tuple[list[Cell], Bools]:
    """The cells that some model can serve, and which ones can: (C, M)."""
    models = given.config.models
    up = np.array([model.name in given.up for model in models])
    may = {
        kind: up & [not unfit >> m & 1 for m in range(len(models))]
        for kind, unfit in given.catalog.unfit.items()
    }
    allowed = np.array([may[cell.kind] for cell in cells]).reshape(len(cells), len(models))
    is_open: Bools = np.asarray(allowed.any(axis=1))
    return list(itertools.compress(cells, is_open)), allowed[is_open]


def _pools(cells: Sequence[Cell], allowed: Bools) -> Ints:
    """Kinds of payload that use the same models are shed alike, other cells each by itself.

    Of very many cells all of a class and payer are shed alike that the same models may serve.
    """
    finest = 4 if len(cells) <= FINE_POOLS_MAX else 2
    pools: dict[tuple[str | bytes, ...], int] = {}
    names = [(*cell[:finest], row.tobytes()) for cell, row in zip(cells, allowed, strict=True)]
    return np.array([pools.setdefault(name, len(pools)) for name in names])


def _cost(prices: Sequence[Price], usage: Usage, classes: _Classes) -> Floats:
    """(C, M) nano-dollars that a request is expected to cost, whoever is asked and answers."""
    of_second = np.array([price.busy_ns * NS_PER_S / YOCTO_PER_NANO_USD for price in prices])
    nano_usd: Floats = classes.carried(usage.busy_s * of_second, lambda chain: chain.reach)
    nano_usd += classes.carried(_of_answer(prices, usage), lambda chain: chain.answered)
    return nano_usd


def _of_answer(prices: Sequence[Price], usage: Usage) -> Floats:
    """(C, M) nano-dollars of an answer's tokens and of the request itself."""
    of_request = np.array([price.request / YOCTO_PER_NANO_USD for price in prices])
    tokens = np.stack(usage.by_class)  # (classes of tokens, C, M)
    return np.asarray((tokens * _rates(prices, usage.input_tokens)).sum(axis=0) + of_request)


def _rates(prices: Sequence[Price], input_tokens: Floats) -> Floats:
    """(classes of tokens, C, M) or (classes of tokens, 1, M) nano-dollars a token."""
    rates = _nano_usd([price.base for price in prices])[:, None]
    for m, price in enumerate(prices):
        if price.tiers:
            rates = np.broadcast_to(rates, (len(Rates._fields), *input_tokens.shape)).copy()
            of_cells = [price.rates(tokens) for tokens in input_tokens[:, m].tolist()]
            rates[:, :, m] = _nano_usd(of_cells)
    return rates


def _nano_usd(rates: Sequence[Rates]) -> Floats:
    """(classes of tokens, rates)"""
    nano_usd: Floats = np.array(rates, dtype=np.float64).T / YOCTO_PER_NANO_USD
    return nano_usd


def _miss(given: Given, estimates: Estimates, classes: _Classes) -> Floats:
    """(C, M) by each class's SLO; 0 where a class has none."""
    rows = {
        name: [
            _miss_of(estimates, of_class, model.name, given.now_s) for model in given.config.models
        ]
        for name, of_class in given.catalog.classes.items()
    }
    return classes.by_class(rows)


def _miss_of(estimates: Estimates, of_class: TrafficClass, first: str, now_s: float) -> float:
    """As counted; while there is little, by how late the model is for all classes."""
    if of_class.slo_s is None:
        return 0.0
    believed = estimates.latency.miss(first, of_class.slo_s, now_s)
    promise = Promise(of_class.name, of_class.slo_s, first)
    return estimates.miss.of(promise, believed=believed, now_s=now_s)


def _resources(
    models: Sequence[ModelConfig], busy_s: Floats, classes: _Classes, window_s: float
) -> list[Resource]:
    """What each model can take, of requests and of busy seconds, by whatever way they come."""
    resources = []
    for m, model in enumerate(models):
        capacity = model.capacity
        if capacity.requests_per_s is not None:
            use = classes.attempts_at(m)
            resources.append(Resource(model.name, use, capacity.requests_per_s * window_s))
        if capacity.concurrent is not None:
            use = classes.attempts_at(m) * busy_s[:, [m]]
            name = f"{model.name} (concurrent)"
            resources.append(Resource(name, use, capacity.concurrent * window_s))
    return resources
