"""From examples to a classifier: weights, what they are worth, and where doubt begins."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from server.routing.learned_classifier.file_format import (
    FILE_BYTES_MAX,
    ROWS_MAX,
    Contents,
    Header,
    quantised,
)
from server.training.calibration import Calibration
from server.training.examples import Example
from server.training.labels import Labels
from server.training.solver import one_against_rest
from server.training.vocabulary import Vocabulary

# Of a row beside its weights: a name as of most words and pairs, its length and its scale.
_ROW_BYTES = 32
_HEADER_BYTES = 500_000


def fit(examples: Sequence[Example], labels: Labels, *, seed: int) -> Contents:
    """A classifier whose scores are not probabilities yet."""
    row_bytes = _ROW_BYTES + labels.total + 1
    rows_max = min(ROWS_MAX, (FILE_BYTES_MAX - _HEADER_BYTES) // row_bytes)
    vocabulary = Vocabulary([example.text for example in examples], rows_max=rows_max)
    numbers = [labels.number(example) for example in examples]
    weights, bias = one_against_rest(vocabulary.matrix(), numbers, labels.total, seed=seed)
    scales, steps = quantised(vocabulary.rows(weights))
    words, pairs, parts = vocabulary.counts
    header = Header(
        intents=labels.intents,
        domains=labels.domains,
        outside=int(labels.outside),
        threshold=0,
        shares={},
        words=words,
        pairs=pairs,
        parts=parts,
        vocabulary_bytes=0,
    )
    lengths2 = vocabulary.lengths2().astype(np.float32)
    return Contents(header, list(vocabulary), bias.astype(np.float32), lengths2, scales, steps)


def calibrated(contents: Contents, calibration: Calibration) -> Contents:
    """The same, its scores log odds; where there are texts outside, a label stands for "none"."""
    header = contents.header
    bias = calibration.slope * contents.bias
    weights = contents.weights
    if header.outside:
        bias[-1] += calibration.outside_shift
        bias = np.append(bias, calibration.none)
        weights = np.pad(weights, ((0, 0), (0, 1)))
    return replace(
        contents,
        header=header.model_copy(update={"outside": 2 * header.outside}),
        bias=bias.astype(np.float32),
        scales=(calibration.slope * contents.scales).astype(np.float32),
        weights=weights,
    )
