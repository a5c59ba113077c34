"""How long an attempt is waited for before somebody else may be asked: a time of its own.

It follows from the class's SLO, and from how long the model's answers to the class take here.
"""

from typing import NamedTuple

# Nineteen answers of twenty come within the tail; what takes three times as long is not just slow:
# where answers vary as those of language models do, one in some hundreds is.
TAIL_QUANTILE = 0.95
TAILS_WAITED = 3.0
# How far one answer moves the tail. It follows a tenfold change within some 25 answers upward and
# 460 downward, and otherwise keeps within a fifth or so of where it belongs.
TAIL_STEP = 0.1
# Of fewer answers no tail is known: until then it is the longest of them.
ANSWERS_MIN = 20
# No pause of an endpoint's or a worker's own takes longer than this, as a rule.
OWN_S_MIN = 0.05
TAIL_S_MIN, TAIL_S_MAX = 1e-4, 86_400.0

_UP = 1 + TAIL_STEP * TAIL_QUANTILE
_DOWN = 1 - TAIL_STEP * (1 - TAIL_QUANTILE)


class Tail:
    """Estimates how long nearly all answers take, step by step: older answers fade."""

    __slots__ = ("_answers", "_seconds")

    def __init__(self) -> None:
        self._answers = 0
        self._seconds = 0.0

    @property
    def seconds(self) -> float | None:
        """How long nearly all answers take; None while too little is known."""
        return self._seconds if self._answers >= ANSWERS_MIN else None

    def observe(self, took_s: float) -> None:
        """Records how long an answer took."""
        if self._answers < ANSWERS_MIN:
            self._answers += 1
            self._seconds = max(self._seconds, took_s, TAIL_S_MIN)
        elif took_s > self._seconds:
            self._seconds = min(self._seconds * _UP, TAIL_S_MAX)
        else:
            self._seconds = max(self._seconds * _DOWN, TAIL_S_MIN)

    def outlasted(self, waited_s: float) -> None:
        """An answer would have come later than this, if nobody had given it up.

        Or a model that has become slow, and is given up each time, would never be known to be.
        """
        if waited_s > self._seconds:
            self._seconds = min(self._seconds * _UP, TAIL_S_MAX)


class Tails(NamedTuple):
    """How long a model's answers take; None while too little is known."""

    of_class_s: float | None
    of_all_s: float | None  # the longest of any class


NO_TAILS = Tails(None, None)


def own_time_s(left_s: float, slo_s: float | None, tail_s: float | None) -> float:
    """The time of its own that an attempt gets of what is left.

    Half of what is left is left for one more, unless the model is known to need more than half.
    What is longer than half leaves no time for one more: such an attempt may take all.
    """
    own_s = _patience_s(slo_s, tail_s)
    half_s = left_s / 2
    if own_s > half_s and (tail_s is None or tail_s <= half_s):
        own_s = half_s
    return max(own_s, OWN_S_MIN)


def _patience_s(slo_s: float | None, tail_s: float | None) -> float:
    """Beyond its SLO nothing is waited for, unless the model needs that; nor less than half of it.

    Half of the SLO is where one more can still be in time.
    """
    if slo_s is None:
        return float("inf") if tail_s is None else TAILS_WAITED * tail_s
    if tail_s is None:
        return slo_s
    return max(tail_s, min(slo_s, max(slo_s / 2, TAILS_WAITED * tail_s)))
