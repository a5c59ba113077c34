"""Keeps the values of labels few, for each one is a series at whoever collects them."""

from collections import defaultdict
from collections.abc import Mapping

# Of one label: no configuration in sight has more classes or models.
VALUES_MAX = 100
OTHER = "other"


class Labels:
    """The first values of each label keep their names; those that come later share one."""

    def __init__(self, values_max: int = VALUES_MAX) -> None:
        self._values_max = values_max
        self._values: dict[str, set[str]] = defaultdict(set)

    def bounded(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """The attributes with at most so many values of each label, over all calls."""
        return {label: self._bounded(label, value) for label, value in attributes.items()}

    def _bounded(self, label: str, value: str) -> str:
        values = self._values[label]
        if value in values:
            return value
        if len(values) >= self._values_max:
            return OTHER
        values.add(value)
        return value
