"""What a closed loop is about: models that behave by a law, callers, and what befalls them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.config.parse import parse
from server.config.schema import Config
from server.money import NANO_PER_USD
from server.status_code import Code

# All times that are drawn are whole numbers of these: floats hold them and their sums exactly, and
# so do the nanoseconds of a report.
TICKS_PER_S = 512
ALL = "all"  # the budget that every request draws on


@dataclass(frozen=True, slots=True)
class ModelLaw:
    """How a model charges, answers and fails."""

    name: str
    request_nano_usd: int = 0
    token_nano_usd: int = 0  # of input
    busy_second_nano_usd: int = 0
    accuracy: float = 0.9
    believed: float | None = None  # accuracy; None: as it is
    latency_s: tuple[float, ...] = (0.125,)  # each as likely
    fails: float = 0.0
    code: Code = Code.UNAVAILABLE  # with which it fails
    hangs: float = 0.0  # takes the call and says nothing
    endpoints: int = 1
    requests_per_s: float | None = None
    concurrent: int | None = None

    def document(self) -> dict[str, Any]:
        """As a configuration has it."""
        capacity = {"requests_per_s": self.requests_per_s, "concurrent": self.concurrent}
        return {
            "name": self.name,
            "protocol": "oip",
            "endpoints": [f"{self.name}:{port}" for port in range(1, self.endpoints + 1)],
            "prior_accuracy": self.accuracy if self.believed is None else self.believed,
            "price": {
                "request_usd": self.request_nano_usd / NANO_PER_USD,
                "input_usd_per_mtok": self.token_nano_usd * 1e6 / NANO_PER_USD,
                "busy_second_usd": self.busy_second_nano_usd / NANO_PER_USD,
            },
            "capacity": {name: value for name, value in capacity.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class ClassLaw:
    """Who asks, how often, and what is promised to them."""

    name: str
    per_s: float
    tenants: tuple[str, ...] = ("t0",)
    tokens: tuple[int, ...] = (100,)  # each as likely
    floor: float | None = None
    slo: tuple[float, float] | None = None  # seconds, fraction
    priority: int = 0
    audit_rate: float = 0.0
    deadline_s: float = 8.0
    patience_s: float | None = None  # after which a caller leaves
    routes: bool = False  # callers ask by Route, call models themselves and report
    floor_when_short: float | None = None
    aim: str | None = None

    def document(self) -> dict[str, Any]:
        """As a configuration has it."""
        document: dict[str, Any] = {
            "name": self.name,
            "priority": self.priority,
            "deadline_s": self.deadline_s,
        }
        if self.slo is not None:
            document["slo"] = {"ms": self.slo[0] * 1_000, "fraction": self.slo[1]}
        if self.floor is not None:
            document["floor"] = self.floor
        for key in ("floor_when_short", "aim"):
            if getattr(self, key) is not None:
                document[key] = getattr(self, key)
        if self.audit_rate:
            document |= {"audit_rate": self.audit_rate, "grades": "caller"}
        return document


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL: what the process has not pushed or kept is lost."""

    at_s: float
    process: str  # "control" or the name of a worker
    down_s: float


@dataclass(frozen=True, slots=True)
class Surge:
    """A class asks so many times as often."""

    at_s: float
    traffic_class: str
    times: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Every attempt at a model fails."""

    at_s: float
    model: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Drain:
    """The operator takes a model out, and leaves it out."""

    at_s: float
    model: str


@dataclass(frozen=True, slots=True)
class Reload:
    """A file takes effect that has its models in another order, and one of them no more."""

    at_s: float
    without: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story to be told; the same one is told the same way."""

    models: tuple[ModelLaw, ...]
    classes: tuple[ClassLaw, ...]
    kills: tuple[Kill, ...] = ()
    surges: tuple[Surge, ...] = ()
    outages: tuple[Outage, ...] = ()
    drains: tuple[Drain, ...] = ()
    reloads: tuple[Reload, ...] = ()
    budgets_usd: Mapping[str, float] | None = None  # of the day; by tenant
    day_usd: float = 1_000.0
    workers: int = 1
    window_s: float = 2.0
    lasts_s: float = 30.0
    failures_to_eject: int = 5
    seed: int = 0

    def config(self) -> Config:
        """What the operator of this service wrote."""
        budgets = [{"name": ALL, "amount_usd": self.day_usd, "period": "day"}]
        for tenant, usd in (self.budgets_usd or {}).items():
            scope = {"tenant": tenant}
            budgets.append({"name": tenant, "amount_usd": usd, "period": "day", "scope": scope})
        first, *others = [law.document() for law in self.classes]
        return parse(
            {
                "window_s": self.window_s,
                "models": [law.document() for law in self.models],
                "classes": [first | {"default": True}, *others],
                "budgets": budgets,
                "health": {"consecutive_failures_max": self.failures_to_eject, "ejection_s": 4},
            }
        )
