"""A recording that is made up: as many models and subjects as mmlu_pro has, alike in spread."""

from collections.abc import Mapping

import numpy as np

from server.config.models import PriceConfig
from server.replay.recording import Recording, Requests

_MODELS, _DOMAINS = 28, 14
_SEED = 7


def made(queries: int) -> tuple[Recording, Mapping[str, PriceConfig]]:
    """Dearer models are better as a rule, and subjects differ in how hard they are."""
    random = np.random.default_rng(_SEED)
    grade = np.linspace(0.0, 1.0, _MODELS)
    hardness = random.normal(0.0, 0.1, (_DOMAINS, 1))
    accuracy = 0.3 + 0.4 * grade + hardness + random.normal(0.0, 0.05, (_DOMAINS, _MODELS))
    of = np.arange(queries) % _DOMAINS
    shape = queries, _MODELS
    names = tuple(f"model-{m}" for m in range(_MODELS))
    recording = Recording(
        requests=Requests(
            ids=tuple(f"q{i}" for i in range(queries)),
            texts=("",) * queries,
            domains=tuple(f"domain-{i}" for i in of),
            traffic_classes=("",) * queries,
            tenants=("",) * queries,
            input_tokens=tuple(random.integers(50, 500, queries).tolist()),
        ),
        models=names,
        score=(random.random(shape) < accuracy[of]).astype(np.float64),
        input_tokens=np.full(shape, np.nan),
        output_tokens=random.integers(5, 250, shape).astype(np.float64),
        cost_usd=np.full(shape, np.nan),
        latency_s=np.full(shape, np.nan),
    )
    return recording, {
        name: PriceConfig(input_usd_per_mtok=usd, output_usd_per_mtok=usd)
        for name, usd in zip(names, (0.1 * 30.0**grade).tolist(), strict=True)
    }
