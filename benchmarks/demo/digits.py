"""The real input: the 1,797 handwritten digits inside scikit-learn, split once and for all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # (N, 64) rows of 8 x 8 pixels, 0 to 16
Labels = NDArray[np.int64]  # (N,) 0 to 9

PIXELS = 64

_SPLIT_SEED = 0  # the first: not chosen by what the held-out third says


@dataclass(frozen=True, slots=True)
class Part:
    """Images and what they show."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Digits:
    """A third to train on, a third to tell accuracies from, a third that only traffic sees."""

    train: Part
    validation: Part
    held_out: Part


def split_digits() -> Digits:
    """The same thirds every time; each has every digit in proportion."""
    from sklearn.datasets import load_digits  # here, for it takes a second

    bunch = load_digits()
    everything = Part(bunch.data.astype(np.float32), bunch.target.astype(np.int64))
    seen, held_out = _cut(everything, held=1 / 3)
    train, validation = _cut(seen, held=1 / 2)
    return Digits(train, validation, held_out)


def _cut(part: Part, *, held: float) -> tuple[Part, Part]:
    from sklearn.model_selection import train_test_split  # here, for it takes a second

    kept, cut = train_test_split(
        np.arange(len(part)), test_size=held, stratify=part.labels, random_state=_SPLIT_SEED
    )
    return Part(part.images[kept], part.labels[kept]), Part(part.images[cut], part.labels[cut])
