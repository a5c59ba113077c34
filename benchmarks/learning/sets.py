"""Configurations for recorded outcomes: the same models at their recorded prices."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from server.config.classes import ClassConfig, DomainConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.replay.answers import BILLED, is_billed
from server.replay.log_files import read_log
from server.replay.recording import Floats, Recording
from server.routing.learned_classifier.names import domain_name


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """One of the sets, with floors that its models can and cannot hold cheaply."""

    folder: str
    floors: tuple[float, ...]


SETS: Mapping[str, RecordedSet] = {
    "mmlu_pro": RecordedSet("outcomes/mmlu_pro", (0.60, 0.65, 0.68)),
    "llmrouter_mix": RecordedSet("outcomes/llmrouter_mix", (0.58, 0.61, 0.64)),
    "paretobandit_k3": RecordedSet("outcomes/paretobandit_k3", (0.85, 0.90, 0.92)),
    "routellm_pair": RecordedSet("outcomes/routellm_pair", (0.70, 0.75, 0.79)),
}
TRACES: Mapping[str, str] = {
    "conv": "traces/azure_llm_2023_conv.csv.gz",
    "code": "traces/azure_llm_2023_code.csv.gz",
}
# Where neither tokens written nor bills were recorded every answer is taken to be as long as this,
# and what it costs is imputed.
IMPUTED_TOKENS = 200
# What somebody says who knows nothing of any model.
UNKNOWN_ACCURACY = 0.5


def read_set(data: Path, name: str) -> tuple[Recording, Mapping[str, PriceConfig]]:
    """A recording with the prices of its models, by the name of its set."""
    folder = data / SETS[name].folder
    recording = imputed(read_log(folder))
    if is_billed(recording):
        return recording, dict.fromkeys(recording.models, BILLED)
    return recording, _prices(folder / "models.csv")


def imputed(recording: Recording) -> Recording:
    """Of answers of which nothing says how long they are or what they cost."""
    if not np.isnan(recording.output_tokens).all() or not np.isnan(recording.cost_usd).all():
        return recording
    written = np.full(recording.score.shape, float(IMPUTED_TOKENS))
    return replace(recording, output_tokens=written)


def config_of(
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    priors: Floats,
    *,
    floor: float,
    audit_rate: float,
) -> Config:
    """One class with a floor; every subject is a domain, and no size tells queries apart."""
    domains = sorted({domain for domain in recording.requests.domains if domain})
    models = tuple(
        ModelConfig(
            name=name,
            protocol="openai",
            endpoints=(),
            price=prices[name],
            prior_accuracy=round(float(prior), 4),
        )
        for name, prior in zip(recording.models, priors, strict=True)
    )
    of_all = ClassConfig(
        name="all", default=True, floor=floor, grades="caller", audit_rate=audit_rate
    )
    return Config(
        models=models,
        classes=(of_all,),
        domains=tuple(DomainConfig(name=domain) for domain in domains),
        size_buckets_tokens=(),
    )


def equal_priors(recording: Recording) -> Floats:
    """Nothing is known of any model."""
    return np.full(len(recording.models), UNKNOWN_ACCURACY)


def fair_priors(recording: Recording, spread: float, random: np.random.Generator) -> Floats:
    """What each model is worth, off by a standard deviation of `spread`."""
    true = np.nanmean(recording.score, axis=0)
    priors: Floats = np.clip(true + random.normal(0.0, spread, true.size), 0.02, 0.98)
    return priors


def _prices(path: Path) -> dict[str, PriceConfig]:
    with path.open(encoding="utf-8", newline="") as file:
        return {
            domain_name(row["model"]): PriceConfig(
                input_usd_per_mtok=float(row["input_usd_per_mtok"]),
                output_usd_per_mtok=float(row["output_usd_per_mtok"]),
            )
            for row in csv.DictReader(file)
        }
