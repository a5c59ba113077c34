"""What one input takes: time, the longest stretch of it, memory; and how it ended."""

from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.memory import PeakMemory

KIB = 1_024


class Cost(NamedTuple):
    """Of one input. A size below a KB counts as a KB in what is told a KB."""

    size_bytes: int  # inflated, where it was compressed
    total_s: float
    stretch_s: float  # without a turn for others
    peak_bytes: int
    outcome: str
    fault: str = ""  # what must not happen, if it did

    @property
    def s_a_kb(self) -> float:
        return self.total_s / max(1.0, self.size_bytes / KIB)

    def bytes_a_byte(self, free_bytes: int) -> float:
        """Beyond what any input may take."""
        return max(0, self.peak_bytes - free_bytes) / max(1, self.size_bytes)

    def least(self, other: "Cost") -> "Cost":
        """Of two measurements of one input, what is surely its own."""
        return self._replace(
            total_s=min(self.total_s, other.total_s),
            stretch_s=min(self.stretch_s, other.stretch_s),
            peak_bytes=min(self.peak_bytes, other.peak_bytes),
            fault=self.fault or other.fault,
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an input may take at most; `breach` says which it took more of."""

    stretch_s: float
    bytes_a_byte: float = 8.0
    free_bytes: int = 2**20  # whatever its size
    stretch_s_a_kb: float = 0.0  # on top, of what is read in one piece

    def breach(self, cost: Cost) -> str:
        stretch_s = self.stretch_s + self.stretch_s_a_kb * cost.size_bytes / KIB
        if cost.fault:
            return "fault"
        if cost.stretch_s > stretch_s:
            return "stretch"
        if cost.bytes_a_byte(self.free_bytes) > self.bytes_a_byte:
            return "memory"
        return ""


class Meter:
    """Handed to a target, which says when its own preparations are done."""

    def __init__(self, loop: TurnLoop) -> None:
        self.loop = loop
        self._memory = PeakMemory()
        self._size_bytes = 0

    def begin(self, size_bytes: int) -> None:
        """From here on it is the code under test that works, on so many bytes."""
        self._size_bytes = size_bytes
        self._memory.begin()
        self.loop.begin()

    def cost(self, outcome: str, fault: str = "") -> Cost:
        """Since `begin`."""
        return Cost(
            self._size_bytes,
            self.loop.total_s,
            self.loop.longest_s,
            self._memory.peak_bytes(),
            outcome,
            fault,
        )

    def close(self) -> None:
        self._memory.close()
