"""What an operator would write for the demo's models: two classes, one budget."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks.demo.models import MODELS, Measured
from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig, SloConfig
from server.config.listeners import ListenersConfig
from server.config.match import MatchConfig
from server.config.models import CapacityConfig, HealthConfig, ModelConfig, PriceConfig
from server.config.schema import Config
from server.money import to_usd

BUDGET = "digits"
BULK, STRICT = "bulk", "strict"
FLOORS: Mapping[str, float] = {BULK: 0.92, STRICT: 0.97}
# The larger is served first where not all can be.
PRIORITIES: Mapping[str, int] = {BULK: 0, STRICT: 1}
# Answers take 10 ms. Where others keep all cores busy, a process may wait a tenth of a second for
# its turn, and an answer needs three of them: 250 ms failed three of four runs at a load of 8.
SLO = SloConfig(ms=500, fraction=0.95)
WINDOW_S = 1.0  # a demo is short; five seconds by default

# Several times what the traffic costs in a day, so that nothing binds until it is cut.
_BUDGET_USD = 20.0
# Of a core for each model: all of them and Turnout share two, which may have other things to do.
_UTILISATION = 0.25
# Labels are at hand, and an act has few requests: a service with more of them can grade fewer.
_AUDIT_RATE = 0.8


def config_of(
    measured: Mapping[str, Measured], ports: Mapping[str, int], data: str, state_dir: Path | None
) -> Config:
    """Of the models that listen at these ports."""
    return Config(
        window_s=WINDOW_S,
        state_dir=str(state_dir) if state_dir else None,
        listeners=ListenersConfig(data=data),
        models=tuple(model_config(name, measured[name], port) for name, port in ports.items()),
        classes=tuple(_traffic_class(name, floor) for name, floor in FLOORS.items()),
        budgets=(BudgetConfig(name=BUDGET, amount_usd=_BUDGET_USD, period="day"),),
        health=HealthConfig(consecutive_failures_max=3, ejection_s=5),
    )


def yaml_of(config: Config) -> str:
    """What was set, as a configuration file."""
    set_here = config.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return yaml.safe_dump(set_here, sort_keys=False)


def model_config(name: str, measured: Measured, port: int) -> ModelConfig:
    served_as = MODELS[name]
    return ModelConfig(
        name=name,
        version=served_as.version,
        upstream_name=served_as.upstream_name,
        protocol="oip",
        endpoints=(f"127.0.0.1:{port}",),
        price=PriceConfig(request_usd=to_usd(measured.request_nano_usd)),
        capacity=CapacityConfig(requests_per_s=_UTILISATION / measured.cpu_s),
        prior_accuracy=measured.accuracy,
        prior_grades=measured.graded,
    )


def _traffic_class(name: str, floor: float) -> ClassConfig:
    return ClassConfig(
        name=name,
        match=MatchConfig(labels={"app": (name,)}),
        default=name == BULK,
        slo=SLO,
        priority=PRIORITIES[name],
        floor=floor,
        grades="caller",
        audit_rate=_AUDIT_RATE,
        deadline_s=10,
    )
