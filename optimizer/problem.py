"""What one window asks of the optimizer: plain numbers, no names of the server.

Cells i, models m, groups g (a class and a payer; every cell belongs to one), resources r, budgets b.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """A class and payer: the floor, the SLO and the shed fraction hold for each."""

    traffic_class: str
    payer: str
    priority: int = 0  # larger is met first when not all can be
    floor: float | None = None  # least mean accuracy of what is served, 0 to 1
    miss_max: float | None = None  # largest fraction beyond the SLO of what is served, 0 to 1
    floor_before_slo: bool = False  # which is given up last when both cannot hold


@dataclass(frozen=True, slots=True)
class Resource:
    """Something models use up: requests a second, requests at one time, tokens a minute."""

    name: str
    use: Floats  # (C, M) units a request
    capacity: float  # units a window


@dataclass(frozen=True, slots=True)
class Budget:
    """A soft budget: its pace shapes the mix, yields before any floor and never sheds."""

    name: str
    cells: Bools  # (C,) cells that draw on it
    pace_nano_usd: float  # for this window


@dataclass(frozen=True, slots=True)
class Pin:
    """Bounds on one model's share of what a group is served."""

    group: int
    model: int
    share_min: float = 0.0
    share_max: float = 1.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One window. Every array is finite; a cell without an allowed model is refused at construction."""

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
