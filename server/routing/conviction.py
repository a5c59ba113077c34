"""Whose failures count against their endpoints, once it is known what became of the request.

What is told at once needs no such judgement. The rest is: a failure that another answers, silence,
and an answer that would have come too late. What a model's answers take, as a rule, is the measure
of both: neither a short deadline nor a strict SLO is, for these are the caller's.
"""

from collections.abc import Iterator
from enum import Enum

from server.routing.health import HealthTracker
from server.routing.journey import ANSWERED, FAILED, Attempt, Journey
from server.routing.patience import OWN_S_MIN, Tails
from server.routing.status_meaning import Blame

# Where nothing is known of a model's answers, silence for such a part of its class's deadline is
# one: less than the half that an attempt has before it is given up.
PART_OF_DEADLINE = 0.4
# Nor does it take longer than this: where all callers have less time than their class, whoever has
# never answered would be asked for ever, and as the only one that is up keep others from being
# asked. One that does answer later is back at once.
UNKNOWN_S_MAX = 10.0
# Where the same bytes were answered elsewhere, less is enough; but what a caller allows for an
# embedding says nothing of a model that writes.
OUTDONE_S_MAX = 0.5
# Who waits briefly sees little of an endpoint: it is silent where for so many times as long nobody
# has heard of it. Or a few callers with short deadlines, between two answers to others, would take
# it from all.
TIMES_AS_LONG = 20
# Of one that fails at what another model answers, and was well so lately, it is the request: models
# differ in what they can read. One that has broken down is out so much later, and meanwhile each
# request is answered by the other.
WELL_FOR_S = 10.0


class Charge(Enum):
    """What an attempt speaks of."""

    WORSE = "another did better"
    SILENT = "nothing was heard"  # which anything that is heard later disproves


def convicted(journey: Journey, health: HealthTracker) -> Iterator[tuple[Attempt, Charge]]:
    """Those of the journey, which has ended, that speak against their endpoints."""
    answer = journey.attempts[-1] if journey.fate is ANSWERED else None
    for attempt in journey.attempts:
        if attempt.blame not in (Blame.COMPARED, Blame.SILENCE):
            continue  # nobody is to blame, or it was told at once
        if answer is not None:
            charge = _compared(attempt, answer, journey, health)
        else:
            charge = _alone(attempt, journey, health)
        if charge is not None:
            yield attempt, charge


def _compared(
    attempt: Attempt, answer: Attempt, journey: Journey, health: HealthTracker
) -> Charge | None:
    if attempt.fate is FAILED:
        is_well = _is_another_model(attempt, answer) and health.has_answered(
            attempt.target.key, since_s=attempt.ended_s - WELL_FOR_S
        )
        return None if is_well else Charge.WORSE
    if answer.took_s >= attempt.took_s:
        return None  # where both are slow, neither is to blame
    if _is_slow(attempt, answer):
        return Charge.WORSE
    return Charge.SILENT if _hangs(attempt, journey, health, is_outdone=True) else None


def _alone(attempt: Attempt, journey: Journey, health: HealthTracker) -> Charge | None:
    """What nobody answered speaks against nobody who is heard."""
    is_silence = attempt.blame is Blame.SILENCE
    hangs = is_silence and _hangs(attempt, journey, health, is_outdone=False)
    return Charge.SILENT if hangs else None


def _is_slow(attempt: Attempt, answer: Attempt) -> bool:
    """Whether it took longer than it takes as a rule, though it may be answering others.

    For another model may be quicker by nature, longer than in any class.
    """
    of_class_s, of_all_s = attempt.tails
    if of_class_s is None or of_all_s is None:
        return False
    is_another = _is_another_model(attempt, answer)
    return attempt.took_s >= (of_all_s if is_another else of_class_s)


def _is_another_model(attempt: Attempt, answer: Attempt) -> bool:
    return answer.target.model_index != attempt.target.model_index


def _hangs(attempt: Attempt, journey: Journey, health: HealthTracker, *, is_outdone: bool) -> bool:
    """Whether nothing was heard of its endpoint for longer than an answer to this may take.

    Nor for longer than it may pause. `is_outdone`: another answered the same in less.
    """
    waits_s = _class_waits_s(journey)
    unknown_s = min(waits_s, OUTDONE_S_MAX) if is_outdone else waits_s
    if attempt.took_s < _may_take_s(attempt.tails, unknown_s):
        return False
    is_sure = is_outdone and attempt.tails.of_class_s is not None
    silent_s = OWN_S_MIN if is_sure else min(waits_s, TIMES_AS_LONG * journey.latency_s)
    since_s = min(attempt.begun_s, attempt.ended_s - max(silent_s, OWN_S_MIN))
    return not health.was_heard(attempt.target.key, since_s=since_s)


def _may_take_s(tails: Tails, unknown_s: float) -> float:
    """How long an answer to the class may take, `unknown_s` or more where that is not known.

    What other classes' answers take says nothing of one that takes longer.
    """
    of_class_s, of_all_s = tails
    return max(unknown_s, of_all_s or 0.0) if of_class_s is None else of_class_s


def _class_waits_s(journey: Journey) -> float:
    of_deadline_s = min(PART_OF_DEADLINE * journey.class_deadline_s, UNKNOWN_S_MAX)
    return of_deadline_s if journey.slo_s is None else min(journey.slo_s, of_deadline_s)
