"""What an operator would write for the models of `make chat`: one class, one budget."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.chat.models import INPUT_USD_PER_MTOK, OUTPUT_USD_PER_MTOK, Measured
from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig, SloConfig
from server.config.listeners import ListenersConfig
from server.config.models import HealthConfig, ModelConfig, PriceConfig
from server.config.schema import Config

BUDGET, QUIZ = "chat", "quiz"
FLOORS: Mapping[str, float] = {QUIZ: 0.52}
# An answer takes a quarter of a second. Four processes share two cores, which may have other things
# to do.
SLO = SloConfig(ms=6000, fraction=0.9)
_WINDOW_S = 1.0  # a show is short; five seconds by default
_BUDGET_USD = 10.0  # a day: several times what the traffic costs


def config_of(
    measured: Mapping[str, Measured], urls: Mapping[str, str], slo: SloConfig, state_dir: Path
) -> Config:
    """Of the models that answer at these URLs, with a door for clients of OpenAI."""
    return Config(
        window_s=_WINDOW_S,
        state_dir=str(state_dir),
        listeners=ListenersConfig(data="127.0.0.1:0", openai="127.0.0.1:0"),
        models=tuple(_model(name, measured[name], url) for name, url in urls.items()),
        classes=(_quiz(slo),),
        budgets=(BudgetConfig(name=BUDGET, amount_usd=_BUDGET_USD, period="day"),),
        health=HealthConfig(consecutive_failures_max=3, ejection_s=5),
    )


def _model(name: str, measured: Measured, url: str) -> ModelConfig:
    return ModelConfig(
        name=name,
        protocol="openai",
        endpoints=(url,),
        price=PriceConfig(
            input_usd_per_mtok=INPUT_USD_PER_MTOK, output_usd_per_mtok=OUTPUT_USD_PER_MTOK
        ),
        prior_accuracy=measured.accuracy,
        prior_grades=measured.questions,
    )


def _quiz(slo: SloConfig) -> ClassConfig:
    return ClassConfig(
        name=QUIZ,
        default=True,
        slo=slo,
        floor=FLOORS[QUIZ],
        grades="caller",
        audit_rate=1.0,  # the answers are known
        deadline_s=60,
    )
