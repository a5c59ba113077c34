"""Settles outcomes: opens the decision id, and counts each decision's usage once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

from server.control.outcome_messages import asked_of, reported_of, took_of
from server.routing.decision_id import Kind, OpenDecision, open_decision
from server.routing.errors import DecisionExpired, UsageDuplicate
from server.routing.outcomes import (
    QUALITY,
    check_attempts,
    check_end,
    check_feedback,
    check_labels,
    check_usage,
)
from server.routing.reported import Reported, Told
from turnout.v1.routing_pb2 import Feedback, Outcome, OutcomeResult

# How many decisions are remembered, 400 bytes each, so 80 MB: half an hour of 100 reports a second.
REMEMBERED_MAX = 200_000
# How much of an id is its key: an id begins with the 16 bytes that authenticate it, its own.
KEY_CHARS = 22
# How many decisions have attempts that wait for usage, some 600 bytes each, 3 KB at most.
ATTEMPTS_MAX = 20_000
USAGE_ALREADY_COUNTED = "USAGE_ALREADY_COUNTED"

_COUNTED = OutcomeResult()


@dataclass(frozen=True, slots=True)
class Grade:
    """The quality of one decision's answer, and the grade it replaces."""

    value: float
    model: str  # the one that answered
    replaces: "CountedGrade | None" = None


class CountedGrade(NamedTuple):
    """A grade that was counted."""

    value: float
    model: str
    told_s: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one outcome adds to what is known: usage and grade only where they are new."""

    decision: OpenDecision
    result: OutcomeResult
    reported: Reported | None = None
    grade: Grade | None = None


@dataclass(slots=True)
class _Record:
    usage_counted: bool
    model: str  # the one that answered, as far as is known
    quality: float | None = None
    judged_s: float = 0.0
    graded: CountedGrade | None = None  # what was counted of it


@dataclass(frozen=True, slots=True)
class _Rows:
    """Records as they were at one moment, each made plain when it is read."""

    oldest: Sequence[tuple[int, str]]
    records: Mapping[str, _Record]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for issued_s, key in self.oldest:
            r = self.records[key]
            yield issued_s, key, r.usage_counted, r.model, r.quality, r.judged_s, r.graded


class Outcomes:
    """The decisions that outcomes came for, so that none counts twice.

    When the table is full the oldest decisions leave it, and what comes for one as old is refused.
    Records are replaced, never edited once an outcome is settled: another thread may read them.
    """

    def __init__(
        self,
        key: bytes,
        is_model: Callable[[str], bool],
        *,
        remembered_max: int = REMEMBERED_MAX,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> None:
        """`is_model` says whether the configuration has a model of that name."""
        self._key = key
        self._is_model = is_model
        self._remembered_max = remembered_max
        self._records: dict[str, _Record] = {}
        self._oldest: list[tuple[int, str]] = []  # a heap of (issued, key)
        # By key, while no usage has come. They are not kept over a restart, after which only the
        # models that were asked are known.
        self._attempts: dict[str, Sequence[Told]] = {}
        self._attempts_max = attempts_max
        self._forgotten_s = -1  # decisions issued up to here may have left the table

    def settle(self, outcome: Outcome, *, now_s: float) -> Settlement:
        """Settles an outcome; returns what it adds. Raises RoutingError if nothing of it counts."""
        self._check(outcome)
        decision = open_decision(self._key, outcome.decision_id, now_s=now_s)
        record = self._record(decision)
        key = decision.decision_id[:KEY_CHARS]
        told = asked_of(outcome) or self._attempts.get(key, ())
        result, reported = _usage(record, decision, outcome, told)
        self._remember_attempts(key, () if record.usage_counted else told)
        return Settlement(decision, result, reported, _grade(record, outcome.feedback, now_s))

    def to_plain(self) -> dict[str, Any]:
        """All that was settled, in what JSON has; taken in a moment, for later."""
        rows = _Rows(list(self._oldest), dict(self._records))
        return {"forgotten_s": self._forgotten_s, "rows": rows}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Takes up what `to_plain` wrote, of the shape that it has."""
        self._forgotten_s = plain["forgotten_s"]
        for issued_s, key, counted, model, quality, judged_s, graded in plain["rows"]:
            if key not in self._records:
                grade = None if graded is None else CountedGrade(*graded)
                record = _Record(counted, model, quality, judged_s, grade)
                self._remember((issued_s, key), record)

    def _check(self, outcome: Outcome) -> None:
        check_feedback([(f.metric, f.value) for f in outcome.feedback])
        check_labels(outcome.domain, outcome.intent)
        if outcome.HasField("usage"):
            check_usage(took_of(outcome.usage))
        if outcome.attempts:
            asked = asked_of(outcome)
            check_attempts(asked, self._is_model)
            check_end(reported_of(outcome, asked))

    def _record(self, decision: OpenDecision) -> _Record:
        key = decision.decision_id[:KEY_CHARS]
        record = self._records.get(key)
        if record is None:
            if decision.issued_s <= self._forgotten_s:
                raise DecisionExpired(
                    "too many decisions have been reported on since: report sooner",
                    field="decision_id",
                )
            record = _Record(decision.kind is Kind.INFER, decision.model)
            self._remember((decision.issued_s, key), record)
        else:
            record = self._records[key] = replace(record)
        return record

    def _remember_attempts(self, key: str, told: Sequence[Told]) -> None:
        self._attempts.pop(key, None)
        if told:
            if len(self._attempts) >= self._attempts_max:
                del self._attempts[next(iter(self._attempts))]
            self._attempts[key] = told

    def _remember(self, entry: tuple[int, str], record: _Record) -> None:
        self._records[entry[1]] = record
        if len(self._oldest) < self._remembered_max:
            heappush(self._oldest, entry)
            return
        self._forgotten_s, oldest = heappushpop(self._oldest, entry)
        del self._records[oldest]


def _usage(
    record: _Record, decision: OpenDecision, outcome: Outcome, told: Sequence[Told]
) -> tuple[OutcomeResult, Reported | None]:
    """The result, and what is new of the request itself."""
    has_usage = outcome.HasField("usage")
    if not has_usage and not outcome.attempts:
        return _COUNTED, None
    if decision.kind is Kind.INFER or (has_usage and record.usage_counted):
        return _refusal(decision.kind), None
    asked = told or _asked_before(record, decision)
    reported = reported_of(outcome, asked)
    if not record.usage_counted:  # what was counted stands
        record.model = reported.answered_by or decision.model
    record.usage_counted |= has_usage
    return _COUNTED, reported if has_usage else None


def _asked_before(record: _Record, decision: OpenDecision) -> Sequence[Told]:
    """Where another model was told to have answered, that stands: the decision's own failed."""
    return [Told(model, "", None) for model in dict.fromkeys((decision.model, record.model))]


def _grade(record: _Record, feedback: Sequence[Feedback], now_s: float) -> Grade | None:
    """Keeps the quality judged last; says so where that, or whose it is, has changed."""
    for given in feedback:
        # Nothing is judged in the future: such a clock would shut out every later grade.
        judged_s = min(_judged_s(given), now_s) if given.HasField("time") else now_s
        if given.metric == QUALITY and judged_s >= record.judged_s:
            record.quality, record.judged_s = given.value, judged_s
    before = record.graded
    if record.quality is None or (before and before[:2] == (record.quality, record.model)):
        return None
    record.graded = CountedGrade(record.quality, record.model, now_s)
    return Grade(record.quality, record.model, before)


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
