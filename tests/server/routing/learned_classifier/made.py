"""Classifiers made by hand."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from server.routing.learned_classifier.file_format import Contents, Header, quantised

Weights = Mapping[str, Sequence[float]]
_NO_WEIGHTS: Weights = MappingProxyType({})
_NO_SHARES: Mapping[str, float] = MappingProxyType({})


def contents(
    *,
    intents: Sequence[str] = (),
    domains: Sequence[str] = ("law", "math"),
    words: Weights = _NO_WEIGHTS,
    pairs: Weights = _NO_WEIGHTS,
    parts: Weights = _NO_WEIGHTS,
    bias: Sequence[float] | None = None,
    outside: int = 0,
    threshold: float = 0.0,
    shares: Mapping[str, float] = _NO_SHARES,
) -> Contents:
    """Rows of length 1 each, their weights in the order of the labels."""
    labels = len(intents or domains) + outside
    rows = [*words.values(), *pairs.values(), *parts.values()]
    scales, weights = quantised(np.array(rows, float).reshape(-1, labels))
    header = Header(
        intents=tuple(intents),
        domains=tuple(domains),
        outside=outside,
        threshold=threshold,
        shares=dict(shares),
        words=len(words),
        pairs=len(pairs),
        parts=len(parts),
        vocabulary_bytes=0,
    )
    return Contents(
        header,
        [*words, *pairs, *parts],
        np.zeros(labels, np.float32) if bias is None else np.array(bias, np.float32),
        np.ones(len(rows), np.float32),
        scales,
        weights,
    )
