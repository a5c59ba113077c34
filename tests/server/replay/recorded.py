"""A small recording: two subjects, three models that differ in what they are good at."""

from collections.abc import Sequence

import numpy as np

from server.config.classes import ClassConfig, DomainConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.replay.answers import Answers
from server.replay.grading import Grading
from server.replay.recording import Floats, Recording, Requests
from server.replay.run import Replay
from server.replay.traffic import Traffic, at_random, shuffled

MODELS = ("small", "middle", "large")
DOMAINS = ("law", "sums")
# By domain and model: how often each is right.
ACCURACY = np.array([[0.4, 0.8, 0.9], [0.7, 0.75, 0.9]])
USD = (0.001, 0.004, 0.02)  # a request
QUERIES = 400


def recording(*, latency_s: float = 0.0) -> Recording:
    random = np.random.default_rng(7)
    of = np.arange(QUERIES) % len(DOMAINS)
    shape = QUERIES, len(MODELS)
    return Recording(
        requests=Requests(
            ids=tuple(f"q{i}" for i in range(QUERIES)),
            texts=("",) * QUERIES,
            domains=tuple(DOMAINS[i] for i in of),
            traffic_classes=("",) * QUERIES,
            tenants=("",) * QUERIES,
            input_tokens=(100,) * QUERIES,
        ),
        models=MODELS,
        score=(random.random(shape) < ACCURACY[of]).astype(float),
        input_tokens=np.full(shape, 100.0),
        output_tokens=np.full(shape, 50.0),
        cost_usd=np.full(shape, np.nan),
        latency_s=np.full(shape, latency_s),
    )


def config(
    *, floor: float | None = 0.8, audit_rate: float = 0.5, priors: Sequence[float] = (0.5, 0.8, 0.9)
) -> Config:
    """Prices are by the request; priors are good guesses."""
    return Config(
        models=tuple(
            ModelConfig(
                name=name,
                protocol="openai",
                endpoints=(),
                price=PriceConfig(request_usd=usd),
                prior_accuracy=prior,
            )
            for name, usd, prior in zip(MODELS, USD, priors, strict=True)
        ),
        classes=(
            ClassConfig(
                name="all",
                default=True,
                floor=floor,
                grades="none" if floor is None else "caller",
                audit_rate=0.0 if floor is None else audit_rate,
            ),
        ),
        domains=tuple(DomainConfig(name=name) for name in DOMAINS),
    )


def replay(
    of: Config,
    recorded: Recording,
    *,
    seed: int = 0,
    grading: Grading | None = None,
    begins_with: Config | None = None,
) -> Replay:
    return Replay(
        of,
        recorded.requests,
        Answers(recorded, of.models),
        grading or Grading(),
        seed=seed,
        begins_with=begins_with,
    )


def traffic(requests: int = 2_000, *, per_s: float = 20.0, seed: int = 0) -> Traffic:
    random = np.random.default_rng(seed)
    return Traffic(at_random(requests, per_s, random), shuffled(QUERIES, requests, random))


def column(values: Sequence[float]) -> Floats:
    return np.array(values)[:, None]
