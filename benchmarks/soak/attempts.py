"""What an attacker does at a rate, and what became of it."""

import asyncio
from collections import Counter


class Attempts:
    """Paces those who share it: a round that comes late is not made up for."""

    def __init__(self, rounds_per_s: float) -> None:
        """`inf`: as fast as the server takes them."""
        self._gap_s = 1 / rounds_per_s
        self._next_s = 0.0
        self.outcomes: Counter[str] = Counter()
        self.sent_bytes = 0

    async def turn(self) -> None:
        """Returns when the next round is due."""
        now_s = asyncio.get_running_loop().time()
        await asyncio.sleep(self.due_s(now_s) - now_s)

    def due_s(self, now_s: float) -> float:
        """When the next round is."""
        self._next_s = max(now_s, self._next_s + self._gap_s)
        return self._next_s

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
