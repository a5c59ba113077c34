"""What happened in a replay, request by request and plan by plan."""

from dataclasses import dataclass, field
from typing import NamedTuple

NOBODY = -1  # in the place of a model: the request was refused, or nobody answered


class Served(NamedTuple):
    """What became of one request."""

    at_s: float
    query: int
    place: int  # of the model that answered
    column: int  # of the recording that its answer is as good as
    basis: str  # what the pick rests on, as routing.selector.Basis names it
    cost_nano_usd: int  # of all attempts
    latency_s: float
    is_audited: bool


class Planned(NamedTuple):
    """What one window's plan says."""

    at_s: float
    plan_id: str
    required: tuple[float, ...]  # of each class and payer
    accuracy: tuple[float, ...]  # likewise
    breaches: tuple[str, ...]  # by kind and name


@dataclass(slots=True)
class Story:
    """Of one run."""

    served: list[Served] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    grades: int = 0
    windows: int = 0
    windows_failed: int = 0
