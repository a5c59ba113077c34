"""Others on the same arrivals: what a policy has to beat."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from server.replay.figures import Tables
from server.replay.hindsight import means_by_cell
from server.replay.recording import Floats, Ints
from server.replay.run import Replay
from server.replay.traffic import Traffic

# What a prior is worth in grades, as the service takes a guess.
PRIOR_GRADES = 20.0


# From accuracy at any price to cost at any accuracy; in parts of accuracy for the dearest model.
_PRICES = (0.0, *np.geomspace(0.003, 3.0, 13).tolist())


class World(NamedTuple):
    """What a run is made of: requests in their order, and what each model makes of each query."""

    query: Ints  # (N,)
    cell_of: Ints  # (Q,)
    score: Floats  # (Q, M)
    cost: Floats  # (Q, M)
    priors: Floats  # (M,)
    audit_rate: float

    @property
    def cells(self) -> int:
        return int(self.cell_of.max()) + 1


class Point(NamedTuple):
    """What a policy came to in the second half, expected by the means of cell and model."""

    accuracy: float
    cost: float


def world_of(replay: Replay, tables: Tables, traffic: Traffic) -> World:
    """The same requests, as a rival sees them."""
    models = replay.config.models
    (of_all,) = replay.config.classes
    return World(
        query=traffic.query,
        cell_of=tables.cell_of,
        score=tables.score[:, list(tables.columns)],
        cost=tables.cost_nano_usd,
        priors=np.array([model.prior_accuracy for model in models]),
        audit_rate=of_all.audit_rate,
    )


def thompson_curve(world: World, seed: int) -> list[Point]:
    """Swept over what accuracy is worth."""
    accuracy, cost = means_of(world, world.score), means_of(world, world.cost)
    dearest = float(cost.max())
    return [
        point(world, accuracy, cost, thompson(world, price / dearest, np.random.default_rng(seed)))
        for price in _PRICES
    ]


def thompson(world: World, price: float, random: np.random.Generator) -> Ints:
    """(N,) models that Thompson sampling would ask: the most accurate by a draw, less its price.

    A Beta of each cell and model, which only audited answers teach. `price` is accuracy for a unit
    of cost.
    """
    shape = world.cells, world.priors.size
    right = np.tile(world.priors * PRIOR_GRADES, (world.cells, 1))
    wrong = np.full(shape, PRIOR_GRADES) - right
    dear = price * means_of(world, world.cost)
    audited = random.random(world.query.size) < world.audit_rate
    chosen = np.empty(world.query.size, dtype=np.int64)
    for n, (query, is_audited) in enumerate(zip(world.query.tolist(), audited, strict=True)):
        cell = world.cell_of[query]
        model = int((random.beta(right[cell], wrong[cell]) - dear[cell]).argmax())
        chosen[n] = model
        if is_audited:
            score = world.score[query, model]
            right[cell, model] += score
            wrong[cell, model] += 1.0 - score
    return chosen


def oracle(world: World) -> Point:
    """The cheapest of the best models of each query: with many models partly luck."""
    query = world.query[world.query.size // 2 :]
    score, cost = world.score[query], world.cost[query]
    best = score.max(axis=1)
    cheapest = np.where(score >= best[:, None], cost, np.inf).min(axis=1)
    return Point(float(best.mean()), float(cheapest.mean()))


def point(world: World, accuracy: Floats, cost: Floats, chosen: Ints) -> Point:
    """Of the second half, by (C, M) means."""
    half = world.query.size // 2
    cell = world.cell_of[world.query[half:]]
    return Point(
        float(accuracy[cell, chosen[half:]].mean()), float(cost[cell, chosen[half:]].mean())
    )


def accuracy_at(points: Sequence[Point], cost: float) -> float | None:
    """What a rival that is swept over its parameter reaches at a cost, between its two next points.

    None beyond its dearest or cheapest.
    """
    by_cost = sorted(points, key=lambda one: one.cost)
    costs = [one.cost for one in by_cost]
    if not costs[0] <= cost <= costs[-1]:
        return None
    # A point that costs more and gives less is nobody's choice.
    best = np.maximum.accumulate([one.accuracy for one in by_cost])
    return float(np.interp(cost, costs, best))


def means_of(world: World, table: Floats) -> Floats:
    """(C, M) from (Q, M)."""
    return means_by_cell(world.cell_of, table, world.cells)
