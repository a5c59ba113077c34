"""How many attempts a worker may have at a model at one time: its slice of the model's capacity.

The slices of all workers add up to the capacity, so no worker has to ask another.
"""

from collections import defaultdict
from collections.abc import Iterable
from math import floor
from zlib import crc32


def slice_of(capacity: float, turn: int, place: int, workers: int) -> int:
    """What the worker at this place has of a model's capacity; of less than 1, one has 1.

    What is left by dividing goes to other workers for each turn.
    """
    whole = max(floor(capacity), 1)
    each, left = divmod(whole, workers)
    return each + ((place - turn) % workers < left)


def turn_of(model: str) -> int:
    """By name: its place may be another at each worker, and would be another after a reload."""
    return crc32(model.encode())


def kept_back(slice_: int) -> int:
    """Of a slice, what only cells may use that the plan does not shed.

    Else a low class that is refused in part would fill it, and have a high one refused. Each one
    more that is kept back leaves a high request without any by a factor less often.
    """
    return max(slice_.bit_length() - 1, 0)


class Slices:
    """Attempts in flight at each model that has a limit. No I/O, no clock."""

    def __init__(self, place: int = 0, workers: int = 1) -> None:
        """Begins with the slices of one of so many workers."""
        self._place = place
        self._workers = workers
        self._of: dict[int, int] = {}  # by model
        self._in_flight: defaultdict[int, int] = defaultdict(int)
        self.full = 0  # bit m: model m has all in flight that it may have here
        self.nearly_full = 0  # bit m: but for what is kept back

    def tune(self, capacities: Iterable[tuple[int, int, float]]) -> None:
        """Sets the limits of these models alone, each with its turn; what is in flight goes on."""
        self._of = {
            model: slice_of(capacity, turn, self._place, self._workers)
            for model, turn, capacity in capacities
        }
        self.full = self.nearly_full = 0
        for model in self._of:
            self._mark(model)

    def take(self, model: int) -> None:
        """Counts an attempt that begins."""
        self._in_flight[model] += 1
        if model in self._of:
            self._mark(model)

    def give_back(self, model: int) -> None:
        """Counts an attempt that has ended."""
        self._in_flight[model] -= 1
        if model in self._of:
            self._mark(model)

    def _mark(self, model: int) -> None:
        bit, slice_ = 1 << model, self._of[model]
        left = max(slice_ - self._in_flight[model], 0)
        self.full = self.full | bit if not left else self.full & ~bit
        is_nearly = left <= kept_back(slice_)
        self.nearly_full = self.nearly_full | bit if is_nearly else self.nearly_full & ~bit
