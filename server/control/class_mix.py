"""The mix of a class: what its cells' shares amount to together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Model = TypeVar("Model", int, str)  # its index, or its name


@dataclass(slots=True)
class ModelPart(Generic[Model]):
    """What one model answers of a cell or of a class."""

    model: Model
    share: float  # of the class's requests
    cost_nano_usd: float  # a request
    accuracy: float = 0.0


def class_parts(requests: Sequence[float]) -> list[float]:
    """Which part of a class each of its cells is; all alike where nobody asks yet."""
    total = sum(requests)
    if not total:
        return [1 / len(requests)] * len(requests)
    return [of_cell / total for of_cell in requests]


def class_mix(parts: Iterable[ModelPart[Model]]) -> list[ModelPart[Model]]:
    """The parts of a class's cells as one for each model, the largest share first.

    Shares are added up; costs and accuracies are means over the requests.
    """
    found: dict[Model, ModelPart[Model]] = {}
    for part in parts:
        mixed = found.setdefault(part.model, ModelPart(part.model, 0.0, 0.0))
        mixed.share += part.share
        mixed.cost_nano_usd += part.share * part.cost_nano_usd
        mixed.accuracy += part.share * part.accuracy
    for mixed in found.values():
        if mixed.share:
            mixed.cost_nano_usd /= mixed.share
            mixed.accuracy /= mixed.share
    return sorted(found.values(), key=lambda mixed: -mixed.share)
