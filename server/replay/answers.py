"""What the models of a configuration answer, as it was recorded."""

from collections.abc import Sequence

import numpy as np

from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.money import NANO_PER_USD
from server.replay.recording import Floats, Recording
from server.replay.worker import Answer
from server.routing.learned_classifier.names import domain_name
from server.status_code import Code

# Where a bill was recorded and no tokens, each nano-dollar of it is taken for a token written.
BILLED = PriceConfig(output_usd_per_mtok=1e-3)


class ModelsMissing(Exception):
    """The recording has no outcomes of some model."""


def columns_of(recording: Recording, models: Sequence[ModelConfig]) -> list[int]:
    """Of each model the column that has its outcomes, by name or upstream name."""
    at = {name: column for column, name in enumerate(recording.models)}
    found = [at.get(m.name, at.get(domain_name(m.upstream_name))) for m in models]
    missing = [m.name for m, column in zip(models, found, strict=True) if column is None]
    if missing:
        raise ModelsMissing(
            f"nothing was recorded of {', '.join(missing)}: "
            f"there are outcomes of {', '.join(recording.models)}"
        )
    return [column for column in found if column is not None]


def is_billed(recording: Recording) -> bool:
    """Whether bills were recorded instead of tokens."""
    no_tokens = bool(np.isnan(recording.output_tokens).all())
    return no_tokens and not np.isnan(recording.cost_usd).all()


def billed(config: Config) -> Config:
    """Prices by which a request costs what was recorded."""
    models = tuple(model.model_copy(update={"price": BILLED}) for model in config.models)
    return config.model_copy(update={"models": models})


class Answers:
    """By query and by the place of a model in the configuration."""

    def __init__(self, recording: Recording, models: Sequence[ModelConfig]) -> None:
        self.columns = columns_of(recording, models)  # of which each model has its scores
        self._gone: set[int] = set()
        written = recording.output_tokens
        if is_billed(recording):
            written = recording.cost_usd * NANO_PER_USD
        took = self.columns.copy()
        self.score = recording.score
        self._read = _whole(_read(recording), took)
        self._written = _whole(written, took)
        self._latency_s: list[list[float]] = np.nan_to_num(recording.latency_s[:, took]).tolist()

    def of(self, query: int, place: int) -> Answer:
        """A model that is gone refuses at once."""
        if place in self._gone:
            return Answer(0, 0, 0.0, Code.UNAVAILABLE)
        return Answer(
            self._read[query][place], self._written[query][place], self._latency_s[query][place]
        )

    def quality(self, query: int, place: int) -> float:
        """How good the answer is."""
        return float(self.score[query, self.columns[place]])

    def usage(self) -> tuple[Floats, Floats, Floats]:
        """(Q, M) tokens read, tokens written and seconds, by query and place."""
        read, written, latency_s = (
            np.array(table, dtype=np.float64)
            for table in (self._read, self._written, self._latency_s)
        )
        return read, written, latency_s

    def swap(self, place: int, column: int) -> None:
        """From now on a model is as good as another was, and takes what it took before."""
        self.columns[place] = column

    def leave(self, place: int) -> None:
        """From now on nobody answers there."""
        self._gone.add(place)

    def is_gone(self, place: int) -> bool:
        return place in self._gone

    def come_back(self, place: int) -> None:
        self._gone.discard(place)


def _read(recording: Recording) -> Floats:
    """Tokens read; where nothing is said of a model, those of the query."""
    of_query = np.array(recording.requests.input_tokens, dtype=np.float64)
    read: Floats = np.where(
        np.isnan(recording.input_tokens), of_query[:, None], recording.input_tokens
    )
    return read


def _whole(table: Floats, columns: Sequence[int]) -> list[list[int]]:
    """Plain integers, which cost less to look up; 0 where nothing is known."""
    counts: list[list[int]] = np.rint(np.nan_to_num(table[:, columns])).astype(np.int64).tolist()
    return counts
