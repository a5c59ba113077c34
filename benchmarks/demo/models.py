"""The real models: classifiers from cheap to accurate, priced by what they compute.

The price of a request is the CPU time that one prediction takes, measured at start, at one dollar
an hour of a core.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
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

from benchmarks.demo.digits import Digits, Images, Labels, Part

Bools = NDArray[np.bool_]

CORE_USD_PER_HOUR = 1.0
_CORE_NANO_USD_PER_S = CORE_USD_PER_HOUR * 1e9 / 3600

_TIMED_PREDICTIONS = 40  # the slowest model spends a third of a second on them


class Estimator(Protocol):
    """What the demo uses of a scikit-learn classifier."""

    def fit(self, images: Images, labels: Labels) -> object: ...

    def predict(self, images: Images) -> Labels: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model comes about."""

    name: str
    version: str
    estimator: Callable[[], Estimator]
    view: Callable[[Images], Images] = lambda images: images  # what the estimator sees
    widen: Callable[[Part], Part] = lambda part: part  # what it trains on
    served_as: str = ""  # what its server calls it; empty: its name

    @property
    def upstream_name(self) -> str:
        return self.served_as or self.name


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained model."""

    recipe: Recipe
    estimator: Estimator

    def predict(self, images: Images) -> Labels:
        return self.estimator.predict(self.recipe.view(images))


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out about a model before it serves."""

    accuracy: float  # on the validation part
    cpu_s: float  # mean of a prediction

    @property
    def request_nano_usd(self) -> int:
        """At least one: a model is never free."""
        return max(1, round(self.cpu_s * _CORE_NANO_USD_PER_S))


def pooled(images: Images) -> Images:
    """Means of 2 x 2 pixels, 0 to 1: 16 features instead of 64."""
    means: Images = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)) / np.float32(16)
    return means.reshape(-1, 16)


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


def _recipes() -> tuple[Recipe, ...]:
    return (
        Recipe("logreg-4x4", "1", lambda: LogisticRegression(C=10, max_iter=1000), view=pooled),
        Recipe("forest", "1", lambda: RandomForestClassifier(10, random_state=0)),
        Recipe("svc", "1", lambda: BaggingClassifier(SVC(C=5), 5, random_state=0)),
        Recipe("committee", "1", _committee, widen=shifted),
        Recipe("svc-2", "2", lambda: SVC(C=5), widen=shifted, served_as="svc"),
    )


RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _recipes()}

CHEAPEST = "logreg-4x4"
OLD_VERSION = "svc"
NEW_VERSION = "svc-2"  # one machine instead of five, trained on shifted images too
AT_START = tuple(name for name in RECIPES if name != NEW_VERSION)


@dataclass(frozen=True, slots=True)
class Study:
    """What is known of the models before the first request."""

    measured: Mapping[str, Measured]
    best: str  # of those at start, the most accurate
    best_is_right: Bools  # (held-out,) where always taking it would have been right


def study(digits: Digits) -> Study:
    """Trains and measures all of them: a second or two."""
    with threadpool_limits(1):  # as in the servers
        classifiers = {name: train(recipe, digits) for name, recipe in RECIPES.items()}
        measured = {name: measure(model, digits.validation) for name, model in classifiers.items()}
    best = max(AT_START, key=lambda name: measured[name].accuracy)
    return Study(measured, best, _is_right(classifiers[best], digits.held_out))


def train(recipe: Recipe, digits: Digits) -> Classifier:
    """The same classifier in every process."""
    estimator = recipe.estimator()
    part = recipe.widen(digits.train)
    estimator.fit(recipe.view(part.images), part.labels)
    return Classifier(recipe, estimator)


def measure(classifier: Classifier, part: Part) -> Measured:
    """CPU time rather than the clock's: a busy machine makes no model dearer."""
    accuracy = float(_is_right(classifier, part).mean())
    started_s = time.thread_time()
    for row in range(_TIMED_PREDICTIONS):
        classifier.predict(part.images[row : row + 1])
    return Measured(accuracy, (time.thread_time() - started_s) / _TIMED_PREDICTIONS)


def _is_right(classifier: Classifier, part: Part) -> Bools:
    return np.equal(classifier.predict(part.images), part.labels)
