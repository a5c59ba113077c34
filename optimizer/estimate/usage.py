"""What a cell uses up at a model: tokens of an answer, busy seconds of an attempt."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from optimizer.estimate.accuracy import PAIRS_MAX, Cell
from optimizer.estimate.decayed import DecayedSums, EstimateOfSums
from optimizer.problem import Floats

# Each level counts as much as this many requests of the one below it. A model's first request says
# more about it than all other models do, whose busy seconds may be a thousand times as many.
_ALL_MODELS, _ALL_CELLS, _PARENTS = 0.01, 1.0, 10.0
# Alternating between cells and models settles within a few rounds.
_ROUNDS = 8
# Attempts, those answered, and what they used.
_WIDTH = 9


class Used(NamedTuple):
    """What attempts used up in all."""

    input_tokens: float
    output_tokens: float
    busy_s: float
    # Of the input tokens those that came from the provider's cache and went into it, and of the
    # output tokens those that the model wrote for itself.
    cached_input_tokens: float = 0.0
    cache_write_input_tokens: float = 0.0
    reasoning_tokens: float = 0.0
    guessed: float = 0.0  # answers whose output tokens are not known, and not among these


class Usage(NamedTuple):
    """Expected, (C, M) each; 0 while nothing is known of any request."""

    input_tokens: Floats  # of an answer
    output_tokens: Floats  # of an answer
    busy_s: Floats  # of an attempt, answered or not
    cached_input_tokens: Floats  # as in Used, of an answer
    cache_write_input_tokens: Floats
    reasoning_tokens: Floats

    @property
    def by_class(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Tokens of an answer, in classes that share none: as server.token_usage has them."""
        cached, put, reasoning = self[3:]
        fresh = np.maximum(self.input_tokens - cached - put, 0.0)
        return fresh, cached, put, np.maximum(self.output_tokens - reasoning, 0.0), reasoning


class UsageEstimate(EstimateOfSums[tuple[Cell, str]]):
    """Shrinks every cell and model toward the model's mean times what is usual of the cell."""

    def __init__(self, *, half_life_s: float = 3600.0) -> None:
        self._sums = DecayedSums[tuple[Cell, str]](
            _WIDTH, half_life_s=half_life_s, keys_max=PAIRS_MAX
        )

    def observe_usage(
        self, cell: Cell, model: str, attempts: float, answered: float, used: Used, now_s: float
    ) -> None:
        """`used` is summed over the attempts."""
        self._sums.add((cell, model), (attempts, answered, *used), now_s)

    def mean(self, cells: Sequence[Cell], models: Sequence[str], now_s: float) -> Usage:
        """What each cell uses at each model; without requests, by what is known of the others."""
        pairs, sums = self._sums.all(now_s)
        rows = {c: i for i, c in enumerate(dict.fromkeys([*cells, *(c for c, _ in pairs)]))}
        columns = {m: i for i, m in enumerate(dict.fromkeys([*models, *(m for _, m in pairs)]))}
        table = np.zeros((_WIDTH, len(rows), len(columns)))
        at = [rows[cell] for cell, _ in pairs], [columns[model] for _, model in pairs]
        table[:, at[0], at[1]] = sums.T
        asked = np.ix_([rows[cell] for cell in cells], [columns[model] for model in models])
        attempts, answered, *used = table
        known = np.maximum(answered - used[-1], 0.0)  # how much they wrote
        of = (answered, known, attempts, answered, answered, known)
        return Usage(*(_mean(n, total)[asked] for n, total in zip(of, used, strict=False)))

    def answers(self, models: Sequence[str], now_s: float) -> Floats:
        """(M,) how many answers of each model are known, older ones counting less."""
        column, found = {name: m for m, name in enumerate(models)}, np.zeros(len(models))
        for (_, model), sums in zip(*self._sums.all(now_s), strict=True):
            if model in column:
                found[column[model]] += sums[1]
        return found

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """As of every estimate; a row of before classes of tokens were told apart is shorter."""
        rows = [(key, [*sums, *[0.0] * (_WIDTH - len(sums))]) for key, sums in plain["rows"]]
        return super().from_plain({**plain, "rows": rows})


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
