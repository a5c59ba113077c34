"""Models of which an access log knows little: those that nobody asked, or nobody graded."""

from collections.abc import Sequence

import numpy as np

from server.config.models import ModelConfig
from server.replay.recording import Floats, Recording
from server.routing.learned_classifier.names import domain_name


def with_every_model(recording: Recording, models: Sequence[ModelConfig]) -> Recording:
    """With a column for each model, of which nothing is known where nobody asked it."""
    missing = [m.name for m in models if domain_name(m.name) not in recording.models]
    blank = np.full((len(recording.requests.ids), len(missing)), np.nan)
    tables = {name: np.hstack((table, blank)) for name, table in recording.tables().items()}
    names = (*recording.models, *missing)
    return Recording(requests=recording.requests, models=names, **tables)


def with_priors(recording: Recording, models: Sequence[ModelConfig]) -> Recording:
    """Who was never graded is as accurate as its prior; who was never asked is as the others are,
    in all else.
    """
    prior = {domain_name(model.name): model.prior_accuracy for model in models}
    tables = {name: table.copy() for name, table in recording.tables().items()}
    for column, name in enumerate(recording.models):
        if np.isnan(tables["score"][:, column]).all():
            tables["score"][:, column] = prior.get(name, 0.0)
    for name in ("output_tokens", "latency_s"):
        _fill(tables[name])
    return Recording(requests=recording.requests, models=recording.models, **tables)


def _fill(table: Floats) -> None:
    """What nobody saw, by the mean of what was."""
    unknown = np.isnan(table)
    if not unknown.all():
        table[unknown] = np.nanmean(table)
