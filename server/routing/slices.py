"""How many attempts a worker may have at a model at one time: its slice of the model's capacity.

The slices of all workers add up to the capacity, so no worker has to ask another.
"""

from collections.abc import Iterable
from math import floor

from server.routing.catalog import bits


def slice_of(capacity: float, model: int, place: int, workers: int) -> int:
    """What the worker at this place has of the model's capacity; of less than 1, one has 1.

    What is left by dividing goes to other workers for each model.
    """
    whole = max(floor(capacity), 1)
    each, left = divmod(whole, workers)
    return each + ((place - model) % workers < left)


def kept_back(slice_: int) -> int:
    """Of a slice, what only cells may use that the plan does not shed.

    Else a low class that is refused in part would fill it, and have a high one refused. Each one
    more that is kept back leaves a high request without any by a factor less often.
    """
    return max(slice_.bit_length() - 1, 0)


class Slices:
    """Attempts in flight at each model that has a limit. No I/O, no clock."""

    def __init__(self, place: int = 0, workers: int = 1) -> None:
        """Those of one of so many workers."""
        self._place = place
        self._workers = workers
        self._of: dict[int, int] = {}  # by model
        self._in_flight: dict[int, int] = {}
        self.full = 0  # bit m: all that model m may have here is in flight
        self.nearly_full = 0  # bit m: but for what is kept back

    def tune(self, capacities: Iterable[tuple[int, float]]) -> None:
        """These models have such a limit, and no others; what is in flight goes on."""
        self._of = {
            model: slice_of(capacity, model, self._place, self._workers)
            for model, capacity in capacities
        }
        self.full = bits(model for model in self._of if not self._left(model))
        self.nearly_full = bits(model for model in self._of if self._is_nearly_full(model))

    def take(self, model: int) -> None:
        """An attempt begins."""
        self._move(model, 1)

    def give_back(self, model: int) -> None:
        """It has ended."""
        self._move(model, -1)

    def _move(self, model: int, change: int) -> None:
        self._in_flight[model] = self._in_flight.get(model, 0) + change
        if model in self._of:
            bit = 1 << model
            self.full = self.full & ~bit if self._left(model) else self.full | bit
            is_nearly = self._is_nearly_full(model)
            self.nearly_full = self.nearly_full | bit if is_nearly else self.nearly_full & ~bit

    def _left(self, model: int) -> int:
        return max(self._of[model] - self._in_flight.get(model, 0), 0)

    def _is_nearly_full(self, model: int) -> bool:
        return self._left(model) <= kept_back(self._of[model])
