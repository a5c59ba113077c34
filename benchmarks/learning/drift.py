"""The model that carries most traffic gets worse: how soon plans are back on the floor."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.learning.floors import PER_S, Setting, prepared
from server.config.models import PriceConfig
from server.replay.figures import Tables, tables_of
from server.replay.recording import Floats, Recording
from server.replay.run import Event, Replay
from server.replay.story import NOBODY
from server.replay.traffic import Traffic, at_random, shuffled
from server.routing.selector import WeightTable

FLOOR = 0.60
FOLLOWED = 120_000  # requests after it got worse
DROP = 0.2
# Of so many requests before it, the model that answered most is the one that gets worse.
_RECENT = 5_000


@dataclass(frozen=True, slots=True)
class Drifted:
    """What followed."""

    order: int
    model: str
    drop: float  # in its accuracy over all queries
    audits: int  # of the model, until plans were back on the floor or the end
    back_after: int | None  # requests; None: never
    below: int  # requests that were served by a mix below the floor
    reachable: float  # what the best model of each cell would reach then


def drifted(  # noqa: PLR0913 - what a run is made of
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    audit_rate: float,
    *,
    orders: range,
    after_s: float,
    on_window: Callable[[int], object] = int,
    followed: int = FOLLOWED,
) -> Iterator[Drifted]:
    """One for each order; priors are fair."""
    requests = round(after_s * PER_S) + followed
    for order in orders:
        replay, _ = prepared(recording, prices, Setting("fair", FLOOR, audit_rate), order, 1)
        random = np.random.default_rng(order)
        traffic = Traffic(
            at_random(requests, PER_S, random),
            shuffled(len(recording.requests.ids), requests, random),
        )
        yield _Watch(replay).followed(traffic, after_s, order, on_window)


class _Watch:
    """Looks at each plan in force, by what its models are truly worth."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._tables = tables_of(replay)
        self._weight = np.bincount(self._tables.cell_of) / self._tables.cell_of.size
        self._model = NOBODY  # that got worse
        self._drop = 0.0
        self._mixes: list[tuple[int, float]] = []  # since then: requests by then, and accuracy

    def followed(
        self, traffic: Traffic, after_s: float, order: int, on_window: Callable[[int], object]
    ) -> Drifted:
        def look(served: int) -> None:
            on_window(served)
            if self._model != NOBODY:
                self._mixes.append((served, self._mix(self._replay.worker.router.table)))

        story = self._replay.tell(traffic, [Event(after_s, self._degrade)], look)
        since = next(n for n, one in enumerate(story.served) if one.at_s >= after_s)
        back = next((served for served, mix in self._mixes if mix >= FLOOR), None)
        audited = story.served[since : len(story.served) if back is None else back]
        spans = np.diff([since, *(served for served, _ in self._mixes)])
        # A mix is in force from the window in which it is planned to the next.
        in_force = [0.0, *(mix for _, mix in self._mixes[:-1])]
        return Drifted(
            order=order,
            model=self._replay.config.models[self._model].name,
            drop=self._drop,
            audits=sum(one.is_audited and one.place == self._model for one in audited),
            back_after=None if back is None else back - since,
            below=int(spans[np.array(in_force) < FLOOR].sum()),
            reachable=float(self._weight @ self._accuracy().max(axis=1)),
        )

    def _degrade(self, replay: Replay, _now_s: float) -> None:
        recent = replay.story.served[-_RECENT:]
        ((self._model, _),) = Counter(one.place for one in recent).most_common(1)
        overall = self._weight @ self._tables.accuracy
        column = replay.answers.columns[self._model]
        worse = int(np.abs(overall - (overall[column] - DROP)).argmin())
        self._drop = float(overall[column] - overall[worse])
        replay.answers.swap(self._model, worse)

    def _accuracy(self) -> Floats:
        """(C, M) by now."""
        accuracy: Floats = self._tables.accuracy[:, self._replay.answers.columns]
        return accuracy

    def _mix(self, table: WeightTable) -> float:
        return float(self._weight @ _by_cell(table, self._tables, self._accuracy()))


def _by_cell(table: WeightTable, tables: Tables, accuracy: Floats) -> Floats:
    """(C,) what is to be expected of a request of each cell."""
    found = np.zeros(len(tables.cells))
    for c, cell in enumerate(tables.cells):
        shares = table.cells.get(cell) or table.classes.get(cell.traffic_class, ())
        found[c] = sum(share * accuracy[c, model] for model, share, _ in shares)
    return found
