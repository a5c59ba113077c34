"""Looks for inputs that cost much: children of those that cost most of their size so far.

The dice follow the seed. What is kept follows measured times too, so two runs of one seed differ;
what they find is written down as inputs, which anybody can measure again.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.fuzz.meter import Cost
from benchmarks.fuzz.targets import Target

# Changes of one input before it is run.
_CHANGES = (1, 1, 1, 2, 2, 3, 5)
# Of an input, most of which are short: ten of them are run in the time of a long one.
_BYTES_MAX = (512, 4_096, 4_096, 16_384, 65_536, 2**20)
# Of a failure: a busy machine makes one of anything, and seldom as often as that.
_CONFIRMATIONS = 4
# A time that is no more than this above the best of its size is noise.
_CLEARLY = 1.2
# Ways to end that are told apart; and inputs of one kind of failure that are kept, the worst ones.
OUTCOMES_MAX = 64
_MEASURES: Mapping[str, Callable[[Cost], float]] = {
    "total": lambda cost: cost.total_s,
    "stretch": lambda cost: cost.stretch_s,
    "memory": lambda cost: float(cost.peak_bytes),
}

Run = Callable[[bytes], Cost]
Confirm = Callable[[bytes, Cost], Cost]


@dataclass(frozen=True, slots=True)
class Found:
    """An input and what it took."""

    data: bytes
    cost: Cost


@dataclass(slots=True)
class Population:
    """The dearest input of each size by each measure, and the shortest for each way to end."""

    dearest: dict[tuple[str, int], Found] = field(default_factory=dict)
    shortest: dict[str, Found] = field(default_factory=dict)

    def is_news(self, cost: Cost, data: bytes) -> bool:
        """It would be kept, if its cost is what it seems to be."""
        return any(self._won(cost)) or self._is_shortest(cost, data)

    def take(self, data: bytes, cost: Cost) -> None:
        found = Found(data, cost)
        for place in self._won(cost):
            self.dearest[place] = found
        if self._is_shortest(cost, data):
            self.shortest[cost.outcome] = found

    def inputs(self) -> list[bytes]:
        """Each once, those that cost most first."""
        dearest = sorted(self.dearest.values(), key=lambda found: -found.cost.total_s)
        return list(dict.fromkeys(f.data for f in (*self.shortest.values(), *dearest)))

    def _won(self, cost: Cost) -> list[tuple[str, int]]:
        """Where it costs more than what is there."""
        size = cost.size_bytes.bit_length()
        return [
            (name, size)
            for name, measure in _MEASURES.items()
            if (before := self.dearest.get((name, size))) is None
            or measure(cost) > _CLEARLY * measure(before.cost)
        ]

    def _is_shortest(self, cost: Cost, data: bytes) -> bool:
        before = self.shortest.get(cost.outcome)
        if before is None:
            return len(self.shortest) < OUTCOMES_MAX
        return len(data) < len(before.data)


@dataclass(slots=True)
class Findings:
    """Of one target."""

    inputs: int = 0
    population: Population = field(default_factory=Population)
    worst: dict[str, Found] = field(default_factory=dict)  # by measure, as people are told it
    failures: dict[str, Found] = field(default_factory=dict)  # the worst of each kind
    failures_count: int = 0


class Search:
    """One input after another, for as long as somebody asks for more."""

    def __init__(self, run: Run, confirm: Confirm, target: Target, dice: random.Random) -> None:
        """`confirm` measures again, and returns the least."""
        self._run = run
        self._confirm = confirm
        self._target = target
        self._dice = dice
        self._parents: list[bytes] = []
        self.findings = Findings()

    def take(self, data: bytes) -> None:
        """An input that somebody thought of, or that an earlier run kept."""
        self._try(data)

    def step(self) -> None:
        """Makes an input and runs it."""
        self._try(self._child())

    def _child(self) -> bytes:
        parents, dice = self._parents, self._dice
        bytes_max = min(self._target.input_bytes_max, dice.choice(_BYTES_MAX))
        data = dice.choice(parents)
        for _ in range(dice.choice(_CHANGES)):
            data = dice.choice(self._target.mutations)(data, dice, parents)[:bytes_max]
        return data

    def _try(self, data: bytes) -> None:
        findings, cost = self.findings, self._run(data)
        findings.inputs += 1
        if self._breach(cost) or findings.population.is_news(cost, data):
            cost = self._sure(data, cost)
            findings.population.take(data, cost)
            self._parents = findings.population.inputs()
            self._note(data, cost)
            if breach := self._breach(cost):
                self._fail(kind_of(breach, cost), Found(data, cost))

    def _breach(self, cost: Cost) -> str:
        return self._target.allowance.breach(cost)

    def _sure(self, data: bytes, cost: Cost) -> Cost:
        """Measured again, and more often before it is called a failure."""
        cost = self._confirm(data, cost)
        for _ in range(_CONFIRMATIONS):
            if not self._breach(cost):
                break
            cost = self._confirm(data, cost)
        return cost

    def _note(self, data: bytes, cost: Cost) -> None:
        free_bytes = self._target.allowance.free_bytes
        told: Mapping[str, Callable[[Cost], float]] = {
            "s_a_kb": lambda of: of.s_a_kb,
            "stretch_s": lambda of: of.stretch_s,
            "bytes_a_byte": lambda of: of.bytes_a_byte(free_bytes),
        }
        for name, measure in told.items():
            before = self.findings.worst.get(name)
            if before is None or measure(cost) > measure(before.cost):
                self.findings.worst[name] = Found(data, cost)

    def _fail(self, kind: str, found: Found) -> None:
        self.findings.failures_count += 1
        before = self.findings.failures.get(kind)
        if before is None or badness(kind, found) > badness(kind, before):
            self.findings.failures[kind] = found


def kind_of(breach: str, cost: Cost) -> str:
    """Failures of one kind have one cause, as a rule."""
    return f"{breach}: {cost.fault[:80]}" if breach == "fault" else breach


def badness(kind: str, found: Found) -> float:
    """Which of two of a kind is told of: the dearer one, of faults the shorter one."""
    if kind.startswith("fault"):
        return -len(found.data)
    cost = found.cost
    return cost.stretch_s if kind == "stretch" else cost.bytes_a_byte(0)


def smaller(data: bytes, still_fails: Callable[[bytes], bool], tries: int) -> bytes:
    """The input with as many parts taken out as can be, in so many tries."""
    part = len(data) // 2
    while part and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            tries -= 1
            without = data[:at] + data[at + part :]
            if still_fails(without):
                data = without
            else:
                at += part
        part //= 2
    return data
