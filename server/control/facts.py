"""Facts since the last step: the loop adds to them, and a step takes all of them."""

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

# How many legs a window may have, about 1 KB each: ten times what is planned at one time. Legs
# beyond are counted as money, but no estimate learns from them.
LEGS_MAX = 100_000
# How many grades a window may have, 300 bytes each: 20,000 a second.
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
    """What the estimates have not learned yet."""

    legs: dict[Leg, Counts] = field(default_factory=dict)
    asked: Counter[Cell] = field(default_factory=Counter)  # requests, whatever came of them
    grades: list[Graded] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Given:
    """What a step works on: what the loop knew when the step began. It never changes."""

    now_s: float
    watched_s: float  # how long workers were heard since the last step
    told: Told
    config: Config
    classes: Mapping[str, ClassConfig]
    catalog: Catalog
    up: frozenset[str]  # models that can be asked
    budgets: Mapping[str, BudgetState]
    last_hour: LastHour


class Facts:
    """Collects the facts of one window, within its limits."""

    def __init__(self, *, legs_max: int = LEGS_MAX, grades_max: int = GRADES_MAX) -> None:
        self._legs_max, self._grades_max = legs_max, grades_max
        self._told = Told()

    def count_leg(self, leg: Leg, counts: Counts) -> None:
        """Adds what was done for requests."""
        legs = self._told.legs
        if leg in legs:
            legs[leg].add(counts)
        elif len(legs) < self._legs_max:
            legs[leg] = counts.copy()

    def count_requests(self, cell: Cell, requests: int) -> None:
        """Adds requests that came, whether they were answered or refused."""
        asked = self._told.asked
        if cell in asked or len(asked) < self._legs_max:
            asked[cell] += requests

    def add_grade(self, graded: Graded) -> bool:
        """Adds a grade; returns False if the window has too many already."""
        if len(self._told.grades) >= self._grades_max:
            return False
        self._told.grades.append(graded)
        return True

    def take(self) -> Told:
        """Returns all facts; later ones are for the next step."""
        told, self._told = self._told, Told()
        return told
