"""Settles outcomes: opens the decision id, and counts each decision's usage once."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappush, heappushpop

from server.routing.errors import DecisionExpired, UsageDuplicate
from server.routing.outcomes import QUALITY, check_feedback, check_labels, check_usage
from server.routing.tokens import Kind, OpenDecision, open_decision
from turnout.v1.routing_pb2 import Feedback, Outcome, OutcomeResult, Usage

# About 400 bytes each, so 80 MB when full: half an hour of reports at 100 a second.
REMEMBERED_MAX = 200_000
USAGE_ALREADY_COUNTED = "USAGE_ALREADY_COUNTED"

_COUNTED = OutcomeResult()


@dataclass(frozen=True, slots=True)
class Grade:
    """The quality of one decision's answer, and the grade it replaces."""

    value: float
    replaces: tuple[float, float] | None = None  # the earlier value, and when it was told


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one outcome adds to what is known: usage and grade only where they are new."""

    decision: OpenDecision
    result: OutcomeResult
    usage: Usage | None = None
    grade: Grade | None = None


@dataclass(slots=True)
class _Record:
    usage_counted: bool
    quality: float | None = None
    judged_s: float = 0.0
    told_s: float = 0.0


class Outcomes:
    """The decisions that outcomes came for, so that none counts twice.

    When the table is full the oldest decisions leave it, and what comes for one as old is refused.
    It lives as long as the control plane: a report repeated across a restart counts again.
    """

    def __init__(self, key: bytes, *, remembered_max: int = REMEMBERED_MAX) -> None:
        self._key = key
        self._remembered_max = remembered_max
        self._records: dict[str, _Record] = {}
        self._oldest: list[tuple[int, str]] = []  # a heap of (issued, decision id)
        self._forgotten_s = -1  # decisions issued up to here may have left the table

    def settle(self, outcome: Outcome, *, now_s: float) -> Settlement:
        """What is new in an outcome; raises RoutingError where nothing of it can count."""
        usage = outcome.usage if outcome.HasField("usage") else None
        check_feedback([(f.metric, f.value) for f in outcome.feedback])
        check_labels(outcome.domain, outcome.intent)
        if usage is not None:
            latency_s = usage.latency.seconds + usage.latency.nanos * 1e-9
            check_usage(latency_s, usage.input_tokens, usage.output_tokens)
        decision = open_decision(self._key, outcome.decision_id, now_s=now_s)
        record = self._record(decision)
        grade = _grade(record, outcome.feedback, now_s)
        if usage is None:
            return Settlement(decision, _COUNTED, grade=grade)
        if record.usage_counted:
            return Settlement(decision, _refusal(decision.kind), grade=grade)
        record.usage_counted = True
        return Settlement(decision, _COUNTED, usage, grade)

    def _record(self, decision: OpenDecision) -> _Record:
        record = self._records.get(decision.decision_id)
        if record is None:
            if decision.issued_s <= self._forgotten_s:
                raise DecisionExpired(
                    "too many decisions have been reported on since: report sooner",
                    field="decision_id",
                )
            record = _Record(usage_counted=decision.kind is Kind.INFER)
            self._remember(decision, record)
        return record

    def _remember(self, decision: OpenDecision, record: _Record) -> None:
        self._records[decision.decision_id] = record
        entry = (decision.issued_s, decision.decision_id)
        if len(self._oldest) < self._remembered_max:
            heappush(self._oldest, entry)
            return
        self._forgotten_s, oldest = heappushpop(self._oldest, entry)
        del self._records[oldest]


def _grade(record: _Record, feedback: Sequence[Feedback], now_s: float) -> Grade | None:
    """Keeps the quality judged last; says so where that changed it."""
    before, told_s = record.quality, record.told_s
    for given in feedback:
        # Nothing is judged in the future: such a clock would shut out every later grade.
        judged_s = min(_judged_s(given), now_s) if given.HasField("time") else now_s
        if given.metric == QUALITY and judged_s >= record.judged_s:
            record.quality, record.judged_s = given.value, judged_s
    if record.quality is None or record.quality == before:
        return None
    record.told_s = now_s
    return Grade(record.quality, replaces=None if before is None else (before, told_s))


def _judged_s(feedback: Feedback) -> float:
    return feedback.time.seconds + feedback.time.nanos * 1e-9


def _refusal(kind: Kind) -> OutcomeResult:
    if kind is Kind.INFER:
        return OutcomeResult(
            reason=USAGE_ALREADY_COUNTED,
            message="Infer has counted this usage itself: send only feedback",
        )
    return OutcomeResult(
        reason=UsageDuplicate.reason,
        message="the usage of this decision has been counted: send it once",
    )
