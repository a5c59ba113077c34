"""What a replay comes to: accuracy that is to be expected, cost, and how far from hindsight."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from server.config.models import ModelConfig
from server.replay.hindsight import (
    Means,
    best_accuracy,
    fixed_mix,
    least_cost,
    means_by_cell,
    singles,
)
from server.replay.recording import Bools, Floats, Ints
from server.replay.run import Replay
from server.replay.story import NOBODY, Served, Story
from server.routing.catalog import Cell
from server.routing.price import NS_PER_S, YOCTO_PER_NANO_USD, Price, compile_price


@dataclass(frozen=True, slots=True)
class Tables:
    """What is known of every query in hindsight; models in the places of the configuration."""

    cells: tuple[Cell, ...]
    cell_of: Ints  # (Q,)
    score: Floats  # (Q, columns of the recording)
    accuracy: Floats  # (C, columns of the recording)
    cost_nano_usd: Floats  # (Q, M)
    columns: Sequence[int]  # (M,) of the recording
    usable: Bools  # (M,)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Of one class, in one span of the replay. Expected: by the means of each cell and model."""

    traffic_class: str
    floor: float | None
    requests: int
    answered: int
    accuracy: float  # expected
    realised: float  # as it was recorded of just these queries
    cost_nano_usd: float  # expected of one answered request
    billed_nano_usd: float  # of all that was asked
    best_accuracy: float  # of the best model of each cell
    optimum_nano_usd: float | None  # of the cheapest mix by cells that is as accurate
    cost_ratio: float | None  # against that optimum
    fixed_mix_nano_usd: float | None  # likewise, of the cheapest mix that is alike in all cells
    best_single: str  # the most accurate model
    best_single_accuracy: float
    best_single_nano_usd: float
    cheapest_single: str | None  # that holds the floor, or else is as accurate
    cheapest_single_nano_usd: float | None
    by_basis: Mapping[str, int] = field(default_factory=dict)
    by_model: Mapping[str, int] = field(default_factory=dict)


def tables_of(replay: Replay) -> Tables:
    """Of all queries of a replay that has not begun."""
    answers, router = replay.answers, replay.worker.router
    present = len(replay.config.models)
    models = (*replay.config.models, *replay.whole.models[present:])  # the last are yet to join
    cells = [router.read(query).reading.cell for query in replay.queries]
    names = tuple(dict.fromkeys(cells))
    index = {cell: i for i, cell in enumerate(names)}
    cell_of = np.array([index[cell] for cell in cells])
    return Tables(
        cells=names,
        cell_of=cell_of,
        score=answers.score,
        accuracy=means_by_cell(cell_of, answers.score, len(names)),
        cost_nano_usd=_costs(models, *answers.usage()),
        columns=tuple(answers.columns),
        usable=np.array(
            [
                place < present and model.enabled and not answers.is_gone(place)
                for place, model in enumerate(models)
            ]
        ),
    )


def figures(
    replay: Replay, tables: Tables, story: Story, begin_s: float, end_s: float
) -> list[ClassFigures]:
    """Of each class, of the requests that came from `begin_s` on and before `end_s`."""
    within = [one for one in story.served if begin_s <= one.at_s < end_s]
    by_class: dict[str, list[Served]] = {}
    for one in within:
        name = tables.cells[tables.cell_of[one.query]].traffic_class
        by_class.setdefault(name, []).append(one)
    return [_figures(replay, tables, name, served) for name, served in by_class.items()]


def _figures(replay: Replay, tables: Tables, name: str, served: Sequence[Served]) -> ClassFigures:
    floor = next(one.floor for one in replay.config.classes if one.name == name)
    models = [model.name for model in replay.whole.models]
    answered = [one for one in served if one.place != NOBODY]
    query, place, column = (
        np.array([getattr(one, key) for one in answered], dtype=np.int64)
        for key in ("query", "place", "column")
    )
    cell = tables.cell_of[query]
    means = _means(tables, cell)
    accuracy = _mean(tables.accuracy[cell, column])
    cost = _mean(means.cost[cell, place])
    optimum = least_cost(means, tables.usable, accuracy)
    alone = singles(means, tables.usable)
    best = max(alone, key=lambda one: one.accuracy)
    aim = accuracy if floor is None else floor
    single = next((one for one in alone if one.accuracy >= aim), None)
    return ClassFigures(
        traffic_class=name,
        floor=floor,
        requests=len(served),
        answered=len(answered),
        accuracy=accuracy,
        realised=_mean(tables.score[query, column]),
        cost_nano_usd=cost,
        billed_nano_usd=float(sum(one.cost_nano_usd for one in served)),
        best_accuracy=best_accuracy(means, tables.usable),
        optimum_nano_usd=optimum,
        cost_ratio=cost / optimum if optimum else None,
        fixed_mix_nano_usd=fixed_mix(means, tables.usable, accuracy),
        best_single=models[best.model],
        best_single_accuracy=best.accuracy,
        best_single_nano_usd=best.cost,
        cheapest_single=None if single is None else models[single.model],
        cheapest_single_nano_usd=None if single is None else single.cost,
        by_basis=dict(Counter(one.basis for one in served)),
        by_model=dict(Counter(models[one.place] for one in answered).most_common()),
    )


def _means(tables: Tables, cell: Ints) -> Means:
    """Weighed by the requests of each cell."""
    count = len(tables.cells)
    return Means(
        np.bincount(cell, minlength=count) / max(cell.size, 1),
        tables.accuracy[:, list(tables.columns)],
        means_by_cell(tables.cell_of, tables.cost_nano_usd, count),
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else 0.0


def _costs(
    models: Sequence[ModelConfig], read: Floats, written: Floats, latency_s: Floats
) -> Floats:
    """(Q, M) nano-dollars of an answer, as the model is priced."""
    prices = [compile_price(model.price) for model in models]
    input_rate, output_rate = _rates(prices, read)
    in_yocto_usd = (
        read * input_rate
        + written * output_rate
        + latency_s * np.array([float(price.busy_ns) for price in prices]) * NS_PER_S
        + np.array([float(price.request) for price in prices])
    )
    return np.asarray(in_yocto_usd / YOCTO_PER_NANO_USD)


def _rates(prices: Sequence[Price], read: Floats) -> tuple[Floats, Floats]:
    """(Q, M) of a token read and of one written, by how long each request is."""
    input_rate, output_rate = np.empty_like(read), np.empty_like(read)
    for m, price in enumerate(prices):
        input_rate[:, m], output_rate[:, m] = price.base.input, price.base.output
        for above, rates in reversed(price.tiers):  # the least first
            is_above = read[:, m] > above
            input_rate[is_above, m], output_rate[is_above, m] = rates.input, rates.output
    return input_rate, output_rate


def named_short(story: Story, begin_s: float, end_s: float = inf) -> float:
    """The part of windows in that time whose plan said that a floor cannot be held."""
    windows = list(_floor_breaches(story, begin_s, end_s))
    return sum(windows) / max(len(windows), 1)


def _floor_breaches(story: Story, begin_s: float, end_s: float) -> Iterator[bool]:
    for planned in story.planned:
        if begin_s <= planned.at_s < end_s:
            yield any(breach.startswith("floor") for breach in planned.breaches)
