"""Models that answer otherwise than they did: noticed by their grades, and told for an hour."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from optimizer.estimate.change import Change, ChangeWatch
from optimizer.problem import Floats
from server.control.facts import Graded
from server.control.hourly import HOUR_S
from server.routing.catalog import Cell

# So long after a change half of the audits try other models.
EXPLORED_S = 600.0
# Changes that are remembered: more at one time than anybody reads.
REMEMBERED_MAX = 100


class ModelChange(NamedTuple):
    """What a model was expected to answer right of its newest grades, and what it did."""

    model: str
    time_s: float
    expected: float
    seen: float
    grades: int

    @property
    def text(self) -> str:
        """One sentence."""
        seen, expected = (f"{100 * part:.0f}%" for part in (self.seen, self.expected))
        return (
            f"model {self.model} answers otherwise than it did: of its last {self.grades} graded "
            f"answers {seen} are right, {expected} were expected; what was learned of it before "
            "is set aside"
        )


class ModelChanges:
    """Is told grades as they come, and what a window expects of the next."""

    def __init__(self) -> None:
        self.watch = ChangeWatch()
        self.newest: tuple[ModelChange, ...] = ()
        self._row: Mapping[Cell, int] = {}
        self._column: Mapping[str, int] = {}
        self._mean: Floats | None = None

    def expect(self, cells: Sequence[Cell], models: Sequence[str], mean: Floats) -> None:
        """What each model is expected to answer right of each cell, (C, M), from now on."""
        self._row = {cell: i for i, cell in enumerate(cells)}
        self._column = {model: m for m, model in enumerate(models)}
        self._mean = mean

    def observe_grade(self, graded: Graded) -> Change | None:
        """The change that a grade makes certain."""
        at = self._row.get(graded.cell), self._column.get(graded.model)
        if self._mean is None or at[0] is None or at[1] is None:
            return None
        expected = float(self._mean[at])
        change = self.watch.observe_grade(graded.model, graded.cell, graded.quality, expected)
        if change is not None:
            told = ModelChange(
                graded.model, graded.told_s, change.expected, change.seen, change.grades
            )
            self.newest = (*self.newest, told)[-REMEMBERED_MAX:]
        return change

    def explored(self, now_s: float) -> frozenset[str]:
        """Models that changed so lately that others are tried in their place."""
        return frozenset(one.model for one in self.newest if now_s - one.time_s < EXPLORED_S)

    def of_hour(self, now_s: float) -> Sequence[ModelChange]:
        """Those of the last hour."""
        return [one for one in self.newest if now_s - one.time_s < HOUR_S]

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        return {"watch": self.watch.to_plain(), "newest": [list(one) for one in self.newest]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found = cls()
        found.watch = ChangeWatch.from_plain(plain["watch"])
        found.newest = tuple(ModelChange(*one) for one in plain["newest"])[-REMEMBERED_MAX:]
        return found
