"""What a cell uses up at a model: tokens of an answer, busy seconds of an attempt."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from optimizer.estimate.accuracy import PAIRS_MAX, Cell
from optimizer.estimate.decayed import DecayedSums, EstimateOfSums
from optimizer.problem import Floats

# Each level counts as much as this many requests of the one below it. A model's first request says
# more about it than all other models do, whose busy seconds may be a thousand times as many.
_ALL_MODELS, _ALL_CELLS, _PARENTS = 0.01, 1.0, 10.0
# Alternating between cells and models settles within a few rounds.
_ROUNDS = 8


class Usage(NamedTuple):
    """Expected, (C, M) each; 0 while nothing is known of any request."""

    input_tokens: Floats  # of an answer
    output_tokens: Floats  # of an answer
    busy_s: Floats  # of an attempt, answered or not


class UsageEstimate(EstimateOfSums[tuple[Cell, str]]):
    """Shrinks every cell and model toward the model's mean times what is usual of the cell."""

    def __init__(self, *, half_life_s: float = 3600.0) -> None:
        self._sums = DecayedSums[tuple[Cell, str]](5, half_life_s=half_life_s, keys_max=PAIRS_MAX)

    def observe_usage(
        self,
        cell: Cell,
        model: str,
        attempts: float,
        answered: float,
        usage: tuple[float, float, float],
        now_s: float,
    ) -> None:
        """usage: input tokens, output tokens and busy seconds, summed over the attempts."""
        self._sums.add((cell, model), (attempts, answered, *usage), now_s)

    def mean(self, cells: Sequence[Cell], models: Sequence[str], now_s: float) -> Usage:
        """What each cell uses at each model; without requests, by what is known of the others."""
        pairs, sums = self._sums.all(now_s)
        rows = {c: i for i, c in enumerate(dict.fromkeys([*cells, *(c for c, _ in pairs)]))}
        columns = {m: i for i, m in enumerate(dict.fromkeys([*models, *(m for _, m in pairs)]))}
        table = np.zeros((5, len(rows), len(columns)))
        at = [rows[cell] for cell, _ in pairs], [columns[model] for _, model in pairs]
        table[:, at[0], at[1]] = sums.T
        asked = np.ix_([rows[cell] for cell in cells], [columns[model] for model in models])
        attempts, answered, input_tokens, output_tokens, busy_s = table
        return Usage(
            _mean(answered, input_tokens)[asked],
            _mean(answered, output_tokens)[asked],
            _mean(attempts, busy_s)[asked],
        )


def _mean(requests: Floats, totals: Floats) -> Floats:
    """(C, M) from (C, M) attempts or answers and what they used in all."""
    overall = float(totals.sum() / requests.sum()) if requests.any() else 0.0
    of_cell, of_model = np.ones(len(requests)), np.full(requests.shape[1], overall)
    for _ in range(_ROUNDS if overall else 0):
        expected = requests.T @ of_cell
        of_model = (totals.sum(axis=0) + _ALL_MODELS * overall) / (expected + _ALL_MODELS)
        expected = requests @ of_model
        of_cell = (totals.sum(axis=1) + _ALL_CELLS * overall) / (expected + _ALL_CELLS * overall)
    parents = np.outer(of_cell, of_model)
    mean: Floats = (totals + _PARENTS * parents) / (requests + _PARENTS)
    return mean
