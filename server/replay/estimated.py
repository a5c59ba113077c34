"""Outcomes that nobody saw: a log of a service has those of the models that were asked, no others.

They are taken for the mean of the model in the query's domain, as far as it was seen there.
"""

import numpy as np

from server.replay.recording import Floats, Ints, Recording

# For how many outcomes of a domain all domains of the model speak beside them.
_ALL_DOMAINS = 20.0


def completed(recording: Recording) -> tuple[Recording, float]:
    """Without gaps in what was recorded of a model at all, and what part of scores is guessed."""
    domains = np.unique(np.array(recording.requests.domains), return_inverse=True)[1]
    guessed = float(np.isnan(recording.score).mean()) if recording.score.size else 0.0
    if all(_is_whole(table) for table in recording.tables().values()):
        return recording, 0.0
    tables = {name: _filled(table, domains) for name, table in recording.tables().items()}
    filled = Recording(requests=recording.requests, models=recording.models, **tables)
    return filled, guessed


def _is_whole(table: Floats) -> bool:
    """Whether each model has all or nothing."""
    unknown = np.isnan(table)
    return bool((unknown.all(axis=0) | ~unknown.any(axis=0)).all())


def _filled(table: Floats, domains: Ints) -> Floats:
    known = ~np.isnan(table)
    counts = known.sum(axis=0)
    of_model = np.divide(
        np.nan_to_num(table).sum(axis=0),
        counts,
        out=np.full(table.shape[1], np.nan),
        where=counts > 0,
    )
    filled = table.copy()
    for domain in np.unique(domains):
        rows = domains == domain
        seen = known[rows].sum(axis=0)
        mean = (np.nan_to_num(table[rows]).sum(axis=0) + _ALL_DOMAINS * of_model) / (
            seen + _ALL_DOMAINS
        )
        filled[rows] = np.where(known[rows], table[rows], mean)
    return filled
