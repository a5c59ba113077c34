"""What the demo shows while it runs: a live table in a terminal, plain lines elsewhere."""

from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from benchmarks.demo.load import Served
from benchmarks.demo.stage import Stage, sentences
from benchmarks.demo.tally import Tally, tallies

_RECENT_S = 5.0
_CONFIDENCE = 0.95
_SENTENCES = 5
_LAST = 2000  # more than the demo serves in that time

COLUMNS = ("class", "requests", "shed", "accuracy", "floor", "in SLO", "cost")


def cells_of(tally: Tally) -> tuple[str, ...]:
    """A class in the order of `COLUMNS`; the cost is a fraction of always-best's."""
    right = tally.accuracy
    return (
        tally.traffic_class,
        f"{tally.requests}",
        f"{tally.refused}",
        f"{right.mean:.1%} [{right.low * 100:.1f}, {right.high * 100:.1f}]",
        f"{tally.floor:.1%}",
        f"{tally.within_slo.mean:.1%}",
        f"{tally.cost.mean:.1%}",
    )


class Screen:
    """Rows of the last seconds under lines that stay."""

    def __init__(self, console: Console) -> None:
        self.every_s = 0.5 if console.is_terminal else 3.0
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(Text(line), soft_wrap=True)

    def show(self, stage: Stage) -> None:
        """The last seconds: what was planned, what was served."""
        rows = list(_recent(stage))
        if not self._console.is_terminal:
            for tally, mix in rows:
                self.say(f"         {_line(tally, mix)}")
            return
        table = Table(*COLUMNS, "answered by", box=SIMPLE, title=f"the last {_RECENT_S:.0f} s")
        for tally, mix in rows:
            table.add_row(*cells_of(tally), mix)
        says = [Text(sentence) for sentence in sentences(stage.plans.latest)[:_SENTENCES]]
        self._live.update(Group(table, *says), refresh=True)


def _recent(stage: Stage) -> Iterator[tuple[Tally, str]]:
    since_s = stage.load.now_s() - _RECENT_S
    # The newest are last: no need to look through all.
    window = [one for one in stage.load.served[-_LAST:] if one.arrival.due_s >= since_s]
    for tally in tallies(window, stage.floors, stage.always, stage.slo, _CONFIDENCE):
        yield tally, _mix(window, tally.traffic_class)


def _line(tally: Tally, mix: str) -> str:
    name, requests, shed, accuracy, floor, within_slo, cost = cells_of(tally)
    return (
        f"{name}: {requests} requests, {shed} refused, {accuracy} right (floor {floor}), "
        f"{within_slo} within SLO, for {cost} of always-best's cost; by {mix}"
    )


def _mix(served: list[Served], traffic_class: str) -> str:
    models = Counter(
        one.answer.model
        for one in served
        if one.answer and one.arrival.traffic_class == traffic_class
    )
    return ", ".join(f"{name} {n / models.total():.0%}" for name, n in models.most_common())
