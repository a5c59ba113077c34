"""Compares a new classifier with the one in force, on requests that were kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from server.config.section import OTHER
from server.control.kept_requests import KeptRequest
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.names import domain_meant

# The newest of the kept requests: to compare so many is a second of work.
COMPARED_MAX = 20_000
# A difference in fewer labels says nothing.
LABELLED_MIN = 30
# Without labels a classifier is worse if it places so much less of the traffic, seen in enough
# requests that it is no accident.
REQUESTS_MIN = 200
OTHER_MORE_MAX = 0.1
# One in forty pairs of equally good classifiers differs by more to one side.
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Comparison:
    """Fractions of the requests; those of labels are 0 without any."""

    requests: int
    same_domain: float
    other_before: float
    other_after: float
    labelled: int
    right_before: float
    right_after: float
    worse: str  # why the new one is clearly worse; empty where it is not


def compare(
    before: LearnedClassifier, after: LearnedClassifier, kept: Sequence[KeptRequest]
) -> Comparison:
    """What both make of the same texts, the newest of those kept."""
    kept = kept[-COMPARED_MAX:]
    pairs = [(before.classify(one.text).domain, after.classify(one.text).domain) for one in kept]
    rights = [
        (old == truth, new == truth)
        for one, (old, new) in zip(kept, pairs, strict=True)
        if (truth := domain_meant(one.true_domain))
    ]
    other_before, other_after = (_part([pair[i] == OTHER for pair in pairs]) for i in (0, 1))
    return Comparison(
        requests=len(kept),
        same_domain=_part([old == new for old, new in pairs]),
        other_before=other_before,
        other_after=other_after,
        labelled=len(rights),
        right_before=_part([old for old, _ in rights]),
        right_after=_part([new for _, new in rights]),
        worse=_worse(rights) or _more_other(len(kept), other_before, other_after),
    )


def _part(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _worse(rights: Sequence[tuple[bool, bool]]) -> str:
    """Why the new one is worse: where both differ, the old one is right too often for chance."""
    lost = sum(old and not new for old, new in rights)
    won = sum(new and not old for old, new in rights)
    if len(rights) < LABELLED_MIN or lost - won <= _Z * math.sqrt(lost + won):
        return ""
    found = f"{lost} wrong that were right, and {won} right"
    return f"of {len(rights)} labelled requests it gets {found}"


def _more_other(requests: int, before: float, after: float) -> str:
    if requests < REQUESTS_MIN or after - before <= OTHER_MORE_MAX:
        return ""
    return f"it puts {after:.0%} of {requests} requests in {OTHER}, where it was {before:.0%}"
