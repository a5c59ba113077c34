"""What is due at some time, to within a grain: most of it is taken out before it is due.

To set a timer for each call, and to cancel it, would cost more than all else that is done for it.
"""

from typing import Generic, TypeVar

# Finer than anybody waits for, and coarser than what takes turns in the loop.
GRAIN_S = 0.01

Item = TypeVar("Item")


class TimingWheel(Generic[Item]):
    """Items by when they are due. Each costs the same to put in or to take out."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[Item, None]] = {}
        self._next = 0  # no slot before it has anything
        self.count = 0

    def add(self, item: Item, due_s: float) -> int:
        """Says where the item is; nothing is handed out before it is due."""
        slot = int(due_s / GRAIN_S) + 1
        if not self.count or slot < self._next:
            self._next = slot
        items = self._slots.get(slot)
        if items is None:
            items = self._slots[slot] = {}
        items[item] = None
        self.count += 1
        return slot

    def discard(self, item: Item, slot: int) -> None:
        """Takes it out of where it was put, if it is there still."""
        items = self._slots.get(slot)
        if items is not None and item in items:
            del items[item]
            self.count -= 1
            if not self.count:
                self._slots.clear()

    def take_due(self, now_s: float, most: int) -> list[Item]:
        """Takes out what is due by now, so many at most; the rest is handed out next."""
        end = int(now_s / GRAIN_S) + 1
        due: list[Item] = []
        while self.count and self._next < end and len(due) < most:
            items = self._slots.get(self._next)
            if items:
                due.append(items.popitem()[0])
                self.count -= 1
            if not items:
                self._slots.pop(self._next, None)
                self._next += 1
        return due
