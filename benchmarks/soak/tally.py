"""What became of the calls and misdeeds of a soak."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# Of faults, so many are told; one that repeats would bury the others.
FAULTS_TOLD_MAX = 40


class Fault(Exception):
    """Something ended as it should not have; the message says what."""


class Tally:
    """Counts what ended well, and keeps the first of what did not."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.slowest_s: dict[str, float] = {}
        self.decided = 0  # by answers to well-behaved callers
        self.faults: list[str] = []
        self.faults_count = 0

    @contextmanager
    def counting(self, kind: str) -> Iterator[None]:
        """One more of its kind, or one more fault."""
        began_s = time.monotonic()
        try:
            yield
        except Fault as fault:
            self.fault(f"{kind}: {fault}")
        else:
            took_s = time.monotonic() - began_s
            self.done[kind] += 1
            self.slowest_s[kind] = max(took_s, self.slowest_s.get(kind, 0.0))

    def fault(self, words: str) -> None:
        self.faults_count += 1
        if len(self.faults) < FAULTS_TOLD_MAX:
            self.faults.append(words)
