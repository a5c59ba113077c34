"""The mix of a class: what its cells' shares amount to together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from turnout.v1 import admin_pb2 as pb


@dataclass(slots=True)
class ModelMix:
    """One model's part in a class, over all its cells."""

    model: str
    share: float = 0.0  # of the class's requests
    accuracy: float = 0.0
    cost_nano_usd: float = 0.0  # a request


def mixes(cells: Iterable[pb.PlanCell]) -> Mapping[str, list[ModelMix]]:
    """By class, in the order of the plan; the largest share first."""
    by_class: defaultdict[str, list[pb.PlanCell]] = defaultdict(list)
    for cell in cells:
        by_class[cell.cell.traffic_class].append(cell)
    return {name: _mix(found) for name, found in by_class.items()}


def _mix(cells: list[pb.PlanCell]) -> list[ModelMix]:
    weights = [cell.requests_per_s for cell in cells]
    if not any(weights):  # nobody asks yet: every cell counts alike
        weights = [1.0] * len(cells)
    found: dict[str, ModelMix] = {}
    for cell, weight in zip(cells, weights, strict=True):
        for share in cell.shares:
            mix = found.setdefault(share.model, ModelMix(share.model))
            part = share.share * weight / sum(weights)
            mix.share += part
            mix.accuracy += part * share.accuracy
            mix.cost_nano_usd += part * share.cost_nano_usd
    for mix in found.values():
        if mix.share:
            mix.accuracy /= mix.share
            mix.cost_nano_usd /= mix.share
    return sorted(found.values(), key=lambda mix: -mix.share)
