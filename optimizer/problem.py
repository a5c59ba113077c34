"""What one window asks of the optimizer: plain numbers, no names of the server.

Cells i, models m, groups g (a class and a payer; each cell belongs to one), resources r, budgets b.
A pool p holds the cells of one group that may use the same models: they are shed alike.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """A class and payer: the floor and the SLO hold for each."""

    traffic_class: str
    payer: str
    priority: int = 0  # larger is met first when not all can be
    floor: float | None = None  # least mean accuracy of what is served, 0 to 1
    miss_max: float | None = None  # largest fraction beyond the SLO of what is served, 0 to 1
    floor_before_slo: bool = False  # which is given up last when both cannot hold
    # How far the floor moves where a hundredth more, or less, is promised: a margin moves with it.
    floor_steps: tuple[float, float] = (0.01, -0.01)
    # Down to this the floor gives way where a pace is short; None: it does not.
    floor_when_short: float | None = None
    domain_floor: float | None = None  # least mean accuracy of each domain by itself
    # Whether it gets the most accuracy that its budgets' paces buy, rather than the least cost.
    best_within_budget: bool = False

    def __post_init__(self) -> None:
        for name in ("floor", "miss_max", "floor_when_short", "domain_floor"):
            bound = getattr(self, name)
            if bound is not None:
                _fraction(f"{name} of class {self.traffic_class}", bound)
        if self.floor_when_short is not None:
            said = f"floor_when_short of class {self.traffic_class} is above its floor"
            _require(self.floor_when_short <= (self.floor or 0.0), said)

    @property
    def kept_floor(self) -> float | None:
        """The floor that no pace moves."""
        return self.floor if self.floor_when_short is None else self.floor_when_short


@dataclass(frozen=True, slots=True)
class Resource:
    """Something models use up: requests a second, requests at one time, tokens a minute."""

    name: str
    use: Floats  # (C, M) units a request
    capacity: float  # units a window

    def __post_init__(self) -> None:
        _not_negative(f"use of resource {self.name}", self.use)
        _not_negative(f"capacity of resource {self.name}", np.float64(self.capacity))


@dataclass(frozen=True, slots=True)
class Budget:
    """A soft budget: its pace shapes the mix, yields before any floor and never sheds."""

    name: str
    cells: Bools  # (C,) cells that draw on it
    pace_nano_usd: float  # for this window

    def __post_init__(self) -> None:
        _not_negative(f"pace_nano_usd of budget {self.name}", np.float64(self.pace_nano_usd))


@dataclass(frozen=True, slots=True)
class Pin:
    """Bounds on one model's share of what a group is served."""

    group: int
    model: int
    share_min: float = 0.0
    share_max: float = 1.0

    def __post_init__(self) -> None:
        _fraction("share_min of a pin", self.share_min)
        _fraction("share_max of a pin", self.share_max)
        _require(self.share_min <= self.share_max, "share_min of a pin is above its share_max")


@dataclass(frozen=True, slots=True)
class Problem:
    """One window. Every array is finite, and every cell has an allowed model: else ValueError."""

    models: tuple[str, ...]  # M names
    groups: tuple[Group, ...]
    group_of: Ints  # (C,) index in groups
    demand: Floats  # (C,) requests in the window
    cost_nano_usd: Floats  # (C, M) a request
    accuracy: Floats  # (C, M) 0 to 1
    miss: Floats  # (C, M) P(latency beyond the SLO, or failure), 0 to 1
    allowed: Bools  # (C, M)
    resources: Sequence[Resource] = field(default=())
    budgets: Sequence[Budget] = field(default=())
    pins: Sequence[Pin] = field(default=())
    pools: Ints | None = None  # (C,) index of each cell's pool; None: a group is one pool
    domains: Ints | None = None  # (C,) index in domain_names; None: all cells are of one
    domain_names: tuple[str, ...] = ("all",)

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_ranges()
        self._check_indices()
        _unique("models", self.models)
        _unique("groups", [(group.traffic_class, group.payer) for group in self.groups])
        _unique("resources", [resource.name for resource in self.resources])
        _unique("domain_names", self.domain_names)
        _unique("budgets", [budget.name for budget in self.budgets])

    @property
    def pool_of(self) -> Ints:
        """(C,) the pool that each cell is shed with."""
        return self.group_of if self.pools is None else self.pools

    @property
    def pool_count(self) -> int:
        """P: pools without a cell are counted too."""
        return int(self.pool_of.max(initial=-1)) + 1

    @property
    def domain_of(self) -> Ints:
        """(C,) the domain of each cell."""
        return np.zeros_like(self.group_of) if self.domains is None else self.domains

    def _check_shapes(self) -> None:
        cells, pairs = self.demand.shape, (*self.demand.shape, len(self.models))
        _shape("demand", self.demand, (self.demand.size,))
        _shape("group_of", self.group_of, cells)
        _shape("pools", self.pool_of, cells)
        _shape("domains", self.domain_of, cells)
        for name in ("cost_nano_usd", "accuracy", "miss", "allowed"):
            _shape(name, getattr(self, name), pairs)
        for resource in self.resources:
            _shape(f"use of resource {resource.name}", resource.use, pairs)
        for budget in self.budgets:
            _shape(f"cells of budget {budget.name}", budget.cells, cells)

    def _check_ranges(self) -> None:
        _not_negative("demand", self.demand)
        _not_negative("cost_nano_usd", self.cost_nano_usd)
        _fraction("accuracy", self.accuracy)
        _fraction("miss", self.miss)

    def _check_indices(self) -> None:
        _index("group_of", self.group_of, len(self.groups))
        _index("domains", self.domain_of, len(self.domain_names))
        self._check_pools()
        for pin in self.pins:
            _index("group of a pin", np.int64(pin.group), len(self.groups))
            _index("model of a pin", np.int64(pin.model), len(self.models))
        stranded = np.flatnonzero(~self.allowed.any(axis=1))
        _require(not stranded.size, f"allowed: cells {stranded[:5].tolist()} have no allowed model")

    def _check_pools(self) -> None:
        _require(bool((self.pool_of >= 0).all()), "pools is negative")
        of_pool = np.zeros(self.pool_count, dtype=np.int64)
        of_pool[self.pool_of] = self.group_of
        torn = np.flatnonzero(of_pool[self.pool_of] != self.group_of)
        _require(not torn.size, f"pools: the pool of cell {torn[:1].tolist()} is of two groups")


def group_labels(groups: Sequence[Group]) -> tuple[str, ...]:
    """How people call each group: its class, with the payer where the class has several."""
    several = Counter(group.traffic_class for group in groups)
    return tuple(
        group.traffic_class
        if several[group.traffic_class] == 1
        else f"{group.traffic_class} ({group.payer})"
        for group in groups
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _shape(name: str, array: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    _require(array.shape == shape, f"{name} has shape {array.shape}, not {shape}")


def _not_negative(name: str, values: Floats | np.float64) -> None:
    _require(bool(np.isfinite(values).all()), f"{name} is not finite")
    _require(bool((values >= 0).all()), f"{name} is negative")


def _fraction(name: str, values: Floats | float) -> None:
    inside = np.logical_and(np.greater_equal(values, 0), np.less_equal(values, 1))
    _require(bool(np.all(inside)), f"{name} is not from 0 to 1")


def _index(name: str, values: Ints | np.int64, size: int) -> None:
    inside = np.logical_and(np.greater_equal(values, 0), np.less(values, size))
    _require(bool(np.all(inside)), f"{name} is not from 0 to {size - 1}")


def _unique(name: str, keys: Iterable[object]) -> None:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    _require(not twice, f"{name} has {next(iter(twice), None)!r} twice")
