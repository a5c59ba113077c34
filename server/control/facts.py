"""What was told since the last step: the loop writes it, and a step takes it whole."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from server.config.classes import ClassConfig
from server.config.schema import Config
from server.control.budgets import BudgetState
from server.control.last_hour import LastHour
from server.routing.catalog import Catalog, Cell
from server.routing.counters import Counts, Leg

# Of one window, about 1 KB each; ten times what is planned at one time. What is told of others is
# money all the same, but no estimate hears of it.
LEGS_MAX = 100_000
# Of one window, 300 bytes each: 20,000 grades a second.
GRADES_MAX = 100_000

GroupName = tuple[str, str]  # traffic class, payer


class Graded(NamedTuple):
    """The quality of an answer that somebody was asked to grade."""

    cell: Cell
    model: str  # the one that answered
    quality: float
    weight: float  # 1 / the probability that it was asked for
    decided_s: float
    told_s: float
    replaces: tuple[float, str, float] | None = None  # an earlier quality, its model, when told


@dataclass(slots=True)
class Told:
    """All that estimates have not heard of."""

    legs: dict[Leg, Counts] = field(default_factory=dict)
    asked: Counter[Cell] = field(default_factory=Counter)  # requests, whatever came of them
    grades: list[Graded] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Given:
    """What a step works on: what the loop knew when it began, and nothing of it changes."""

    now_s: float
    watched_s: float  # since the last step, in which workers were heard
    told: Told
    config: Config
    classes: Mapping[str, ClassConfig]
    catalog: Catalog
    up: frozenset[str]  # models that can be asked
    budgets: Mapping[str, BudgetState]
    last_hour: LastHour


class Facts:
    """Bounded by what one window can bring."""

    def __init__(self, *, legs_max: int = LEGS_MAX, grades_max: int = GRADES_MAX) -> None:
        self._legs_max, self._grades_max = legs_max, grades_max
        self._told = Told()

    def count_leg(self, leg: Leg, counts: Counts) -> None:
        """What was done for requests."""
        legs = self._told.legs
        if leg in legs:
            legs[leg].add(counts)
        elif len(legs) < self._legs_max:
            legs[leg] = counts.copy()

    def count_requests(self, cell: Cell, requests: int) -> None:
        """Requests came, and were answered or refused."""
        asked = self._told.asked
        if cell in asked or len(asked) < self._legs_max:
            asked[cell] += requests

    def add_grade(self, graded: Graded) -> bool:
        """False: more were told than a step can hear of."""
        if len(self._told.grades) >= self._grades_max:
            return False
        self._told.grades.append(graded)
        return True

    def take(self) -> Told:
        """Everything; what follows is the next step's."""
        told, self._told = self._told, Told()
        return told
