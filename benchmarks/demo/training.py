"""The real models: classifiers from cheap to accurate, trained and measured once for all."""

import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from benchmarks.demo.digits import Digits, Images, Labels, Part, split_digits
from benchmarks.demo.forks import Line
from benchmarks.demo.models import (
    AT_START,
    CHEAPEST,
    NEW_VERSION,
    OLD_VERSION,
    Bools,
    Measured,
    Study,
)

_TIMED_PREDICTIONS = 20  # the slowest model spends a fifth of a second on them


class Estimator(Protocol):
    """What the demo uses of a scikit-learn classifier."""

    def fit(self, images: Images, labels: Labels) -> object: ...

    def predict(self, images: Images) -> Labels: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model comes about."""

    estimator: Callable[[], Estimator]
    view: Callable[[Images], Images]  # what the estimator sees
    widen: Callable[[Part], Part]  # what it trains on


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained model."""

    estimator: Estimator
    view: Callable[[Images], Images]

    def predict(self, images: Images) -> Labels:
        return self.estimator.predict(self.view(images))


def pooled(images: Images) -> Images:
    """Means of 2 x 2 pixels, 0 to 1: 16 features instead of 64."""
    means: Images = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)) / np.float32(16)
    return means.reshape(-1, 16)


def whole(images: Images) -> Images:
    """Every pixel as it is."""
    return images


def as_they_are(part: Part) -> Part:
    """Each image once."""
    return part


def shifted(part: Part) -> Part:
    """Each image five times: as it is, and moved one pixel to each side."""
    framed = np.pad(part.images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    moved = [framed[:, y : y + 8, x : x + 8].reshape(-1, 64) for y, x in corners]
    return Part(np.concatenate(moved), np.tile(part.labels, len(corners)))


def _committee() -> Estimator:
    """A majority of four unlike members."""
    members = [
        ("smooth", SVC(C=5)),
        ("cubic", SVC(C=5, kernel="poly", degree=3)),
        ("trees", ExtraTreesClassifier(150, random_state=0)),
        ("neighbours", KNeighborsClassifier(3, algorithm="brute")),
    ]
    committee: Estimator = VotingClassifier(members)
    return committee


RECIPES: Mapping[str, Recipe] = {
    CHEAPEST: Recipe(lambda: LogisticRegression(C=10, max_iter=1000), pooled, as_they_are),
    "forest": Recipe(lambda: RandomForestClassifier(10, random_state=0), whole, as_they_are),
    OLD_VERSION: Recipe(lambda: BaggingClassifier(SVC(C=5), 5, random_state=0), whole, as_they_are),
    "committee": Recipe(_committee, whole, shifted),
    NEW_VERSION: Recipe(lambda: SVC(C=5), whole, shifted),
}


def train_all(line: Line, folder: Path) -> None:
    """Leaves a file of each model in the folder; says what is known of them, and the held-out."""
    digits = split_digits()
    with threadpool_limits(1):  # as in the servers
        classifiers = {name: train(recipe, digits) for name, recipe in RECIPES.items()}
        for name, classifier in classifiers.items():
            (folder / name).write_bytes(pickle.dumps(classifier))
        line.send((study(classifiers, digits), digits.held_out))


def study(classifiers: Mapping[str, Classifier], digits: Digits) -> Study:
    """The best is chosen by what is known before any traffic; what it gets right of that, after."""
    measured = {name: measure(model, digits.validation) for name, model in classifiers.items()}
    best = max(AT_START, key=lambda name: measured[name].accuracy)
    return Study(measured, best, _is_right(classifiers[best], digits.held_out))


def train(recipe: Recipe, digits: Digits) -> Classifier:
    """The same classifier every time."""
    estimator = recipe.estimator()
    part = recipe.widen(digits.train)
    estimator.fit(recipe.view(part.images), part.labels)
    return Classifier(estimator, recipe.view)


def measure(classifier: Classifier, part: Part) -> Measured:
    """CPU time rather than the clock's: a busy machine makes no model dearer."""
    accuracy = float(_is_right(classifier, part).mean())
    started_s = time.thread_time()
    for row in range(_TIMED_PREDICTIONS):
        classifier.predict(part.images[row : row + 1])
    cpu_s = (time.thread_time() - started_s) / _TIMED_PREDICTIONS
    return Measured(accuracy, len(part), cpu_s)


def _is_right(classifier: Classifier, part: Part) -> Bools:
    return np.equal(classifier.predict(part.images), part.labels)
