"""A replay told and summed up: stretches between events, and the halves of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.replay.figures import ClassFigures, Tables, figures, named_short, tables_of
from server.replay.run import Event, Replay
from server.replay.story import Story
from server.replay.traffic import Traffic

# Into so many parts of equal time is the whole of a replay cut, to be seen at a glance, and where
# something happens.
SLICES = 10
# By a clock of seconds since 1970 a moment is known to a quarter of a microsecond.
_ROUNDING_S = 1e-3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some time between two events: by what was so then."""

    name: str
    begin_s: float
    end_s: float
    classes: Sequence[ClassFigures]
    named_short: float  # the part of its windows whose plan said that a floor cannot be held


@dataclass(frozen=True, slots=True)
class Report:
    """Of one replay."""

    requests: int
    lasted_s: float
    windows: int
    windows_failed: int
    grades: int
    guessed: float  # the part of the log's scores that is estimated, for nobody saw them
    stretches: Sequence[Stretch]  # each whole, then its second half
    slices: Sequence[Stretch]


def told(
    replay: Replay,
    traffic: Traffic,
    events: Sequence[Event] = (),
    on_window: Callable[[int], object] = int,
    *,
    guessed: float = 0.0,
) -> tuple[Report, Story]:
    """Runs a replay, and sums it up; `guessed` is the part of its scores that nobody saw."""
    known: list[tuple[float, Tables]] = [(0.0, tables_of(replay))]

    def noting(one: Event) -> Event:
        def act(befallen: Replay, now_s: float) -> None:
            one.act(befallen, now_s)
            known.append((one.at_s, tables_of(befallen)))

        return Event(one.at_s, act)

    story = replay.tell(traffic, [noting(one) for one in events], on_window)
    last_s = float(traffic.at_s[-1]) if len(traffic) else 0.0
    return _report(replay, story, known, last_s, guessed), story


def _report(
    replay: Replay,
    story: Story,
    known: Sequence[tuple[float, Tables]],
    last_s: float,
    guessed: float,
) -> Report:
    over_s = last_s + _ROUNDING_S  # the last request is part of it
    ends = [at_s for at_s, _ in known[1:]] + [over_s]
    stretches = []
    for (begin_s, tables), end_s in zip(known, ends, strict=True):
        middle_s = (begin_s + end_s) / 2
        stretches.append(_stretch(replay, tables, story, "whole", (begin_s, end_s)))
        stretches.append(_stretch(replay, tables, story, "second half", (middle_s, end_s)))
    cuts = sorted({*(over_s * part / SLICES for part in range(SLICES + 1)), *ends})
    slices = [
        _stretch(replay, _at(known, begin_s), story, "slice", (begin_s, end_s))
        for begin_s, end_s in pairwise(cuts)
    ]
    return Report(
        requests=len(story.served),
        lasted_s=last_s,
        windows=story.windows,
        windows_failed=story.windows_failed,
        grades=story.grades,
        guessed=guessed,
        stretches=[one for one in stretches if one.classes],
        slices=[one for one in slices if one.classes],
    )


def _at(known: Sequence[tuple[float, Tables]], at_s: float) -> Tables:
    """What was so at that time."""
    return next(tables for begin_s, tables in reversed(known) if begin_s <= at_s)


def _stretch(
    replay: Replay, tables: Tables, story: Story, name: str, span: tuple[float, float]
) -> Stretch:
    begin_s, end_s = span
    found = figures(replay, tables, story, begin_s, end_s)
    return Stretch(name, begin_s, end_s, found, named_short(story, begin_s, end_s))
