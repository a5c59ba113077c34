"""How well output tokens are forecast, and what the error of forecasts costs.

Half of what is recorded is learned as a service would: each query is answered by one model, drawn
at random. The other half says what was right.
"""

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from optimizer.estimate.usage import UsageEstimate, Used
from optimizer.problem import Floats, Ints
from server.config.models import PriceConfig
from server.money import NANO_PER_USD
from server.replay.recording import Recording
from server.routing.catalog import NOMINAL_OUTPUT_TOKENS

API_CALLS = "latency/api_calls_2026.csv.gz"
# Of mmlu_pro: half an answer for each cell and model, three, and all of a half.
LEARNED = 200, 1_000, 4_000
# A cell and model with fewer answers in the second half has no mean to hold a forecast against.
ANSWERS_MIN = 10


class Calls(NamedTuple):
    """Answers, one row each."""

    cell: Sequence[str]
    model: Sequence[str]
    output_tokens: Floats


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Of the means of cells and models: the error of each way to forecast, relative, weighted."""

    answers: int  # that were learned
    pairs: int  # of a cell and a model, that were held against what came
    nominal: float  # 500 for all
    of_model: float  # each model's mean
    learned: float  # by cell and model, as plans have it
    one_answer: float  # of single answers against the mean of their cell and model: no mean helps


def read_calls(path: Path) -> Calls:
    """The calls of a recording of an API, by its experiments."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Calls(
        [row["experiment"] for row in rows],
        [f"{row['provider']}/{row['model']}" for row in rows],
        np.array([float(row["output_tokens"]) for row in rows]),
    )


def calls_of(recording: Recording, queries: Ints, columns: Ints) -> Calls:
    """What one model each wrote in answer to these queries; subjects are cells."""
    return Calls(
        [recording.requests.domains[query] for query in queries],
        [recording.models[column] for column in columns],
        recording.output_tokens[queries, columns],
    )


def forecast_error(learned: Calls, held: Calls) -> Forecasts:
    """How far forecasts of the means are from what came of the held ones."""
    cells, models = sorted({*held.cell}), sorted({*held.model})
    mean, count = _means(held, cells, models)
    known = count >= ANSWERS_MIN
    weight = np.where(known, count * mean, 0.0)

    def error(forecast: Floats) -> float:
        """The part of all tokens that is forecast too much or too little."""
        off = np.abs(forecast - mean)[known] * count[known]
        return float(off.sum() / weight.sum())

    usage = _estimate(learned).mean(_keys(cells), models, 0.0).output_tokens
    by_model = _by_model(learned, models, float(np.mean(learned.output_tokens)))
    at = _at(held, cells, models)
    single = np.abs(held.output_tokens - mean[at]) * known[at]
    return Forecasts(
        answers=len(learned.cell),
        pairs=int(known.sum()),
        nominal=error(np.full(mean.shape, float(NOMINAL_OUTPUT_TOKENS))),
        of_model=error(np.broadcast_to(by_model, mean.shape)),
        learned=error(usage),
        one_answer=float(single.sum() / weight.sum()),
    )


def error_of_half(calls: Calls, seed: int) -> Forecasts:
    """Of one half by the other."""
    learned, held = (_some(calls, rows) for rows in halves(len(calls.cell), seed))
    return forecast_error(learned, held)


def realised_cost(
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    learned: Calls,
    queries: Ints,
    floor: float,
) -> Mapping[str, float]:
    """What mixes cost that were cheapest by a forecast, by what the cheapest costs in truth.

    Of these queries, every accuracy is known: only tokens written are forecast.
    """
    models = list(recording.models)
    cells = sorted(set(recording.requests.domains))
    of = np.array([cells.index(recording.requests.domains[query]) for query in queries])
    part = np.bincount(of, minlength=len(cells)) / of.size
    truth, read, accuracy = (
        _by_cell(of, table[queries], len(cells))
        for table in (recording.output_tokens, _read(recording), recording.score)
    )
    usage = _estimate(learned).mean(_keys(cells), models, 0.0).output_tokens
    by_model = _by_model(learned, models, float(np.mean(learned.output_tokens)))
    cost = _Cost([prices[model] for model in models], read)
    least = _cheapest(part, accuracy, cost.of(truth), floor)
    bill = float((part[:, None] * least * cost.of(truth)).sum())
    forecasts = {
        "nominal": np.full(truth.shape, float(NOMINAL_OUTPUT_TOKENS)),
        "of_model": np.broadcast_to(by_model, truth.shape),
        "learned": usage,
    }
    return {
        name: float((part[:, None] * shares * cost.of(truth)).sum()) / bill
        for name, forecast in forecasts.items()
        for shares in [_cheapest(part, accuracy, cost.of(forecast), floor)]
    }


def halves(count: int, seed: int) -> tuple[Ints, Ints]:
    """Two halves in an order by chance."""
    order = np.random.default_rng(seed).permutation(count)
    return order[: count // 2], order[count // 2 :]


def _some(calls: Calls, rows: Ints) -> Calls:
    return Calls(
        [calls.cell[row] for row in rows],
        [calls.model[row] for row in rows],
        calls.output_tokens[rows],
    )


class _Cost(NamedTuple):
    prices: Sequence[PriceConfig]
    read: Floats  # (C, M)

    def of(self, written: Floats) -> Floats:
        """(C, M) nano-dollars of an answer."""
        per_read = np.array([price.input_usd_per_mtok or 0.0 for price in self.prices])
        per_written = np.array([price.output_usd_per_mtok or 0.0 for price in self.prices])
        found: Floats = (self.read * per_read + written * per_written) * (NANO_PER_USD / 1e6)
        return found


def _keys(cells: Sequence[str]) -> list[tuple[str, str, str, str]]:
    return [("all", "-", cell, "s0") for cell in cells]


def _estimate(learned: Calls) -> UsageEstimate:
    estimate = UsageEstimate()
    for key, model, tokens in zip(
        _keys(learned.cell), learned.model, learned.output_tokens.tolist(), strict=True
    ):
        estimate.observe_usage(key, model, 1.0, 1.0, Used(0.0, tokens, 0.0), 0.0)
    return estimate


def _at(calls: Calls, cells: Sequence[str], models: Sequence[str]) -> tuple[Ints, Ints]:
    row, column = ({name: i for i, name in enumerate(names)} for names in (cells, models))
    return np.array([row[c] for c in calls.cell]), np.array([column[m] for m in calls.model])


def _means(calls: Calls, cells: Sequence[str], models: Sequence[str]) -> tuple[Floats, Floats]:
    sums, counts = np.zeros((2, len(cells), len(models)))
    at = _at(calls, cells, models)
    np.add.at(sums, at, calls.output_tokens)
    np.add.at(counts, at, 1.0)
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0), counts


def _by_model(learned: Calls, models: Sequence[str], of_all: float) -> Floats:
    """The mean of each; of one that never answered, that of all."""
    tokens: dict[str, list[float]] = {}
    for model, written in zip(learned.model, learned.output_tokens.tolist(), strict=True):
        tokens.setdefault(model, []).append(written)
    return np.array([np.mean(tokens.get(model, [of_all])) for model in models])


def _read(recording: Recording) -> Floats:
    of_query = np.array(recording.requests.input_tokens, dtype=np.float64)
    read: Floats = np.where(
        np.isnan(recording.input_tokens), of_query[:, None], recording.input_tokens
    )
    return read


def _by_cell(cell: Ints, table: Floats, count: int) -> Floats:
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, cell, table)
    found: Floats = sums / np.maximum(np.bincount(cell, minlength=count), 1)[:, None]
    return found


def _cheapest(part: Floats, accuracy: Floats, cost: Floats, floor: float) -> Floats:
    """(C, M) shares of the cheapest mix that holds the floor."""
    cells, models = cost.shape
    each = np.kron(np.eye(cells), np.ones(models))
    weight = part[:, None]
    found = linprog(
        (weight * cost).ravel(),
        A_ub=-(weight * accuracy).reshape(1, -1),
        b_ub=[-floor],
        A_eq=each,
        b_eq=np.ones(cells),
        method="highs",
    )
    if found.x is None:
        raise ValueError(f"no mix holds {floor:g}: {found.message}")
    return np.asarray(found.x).reshape(cells, models)
