"""From outcomes to messages of the contract, and from its results to plain values."""

from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from turnout.answers import OutcomeResult
from turnout.filling import filled, within
from turnout.request import Attempt, Outcome
from turnout.v1 import routing_pb2 as pb

_NANO = 1_000_000_000


def report_request(outcomes: Iterable[Outcome]) -> pb.ReportRequest:
    """Raises TypeError or ValueError, and names the field; of several outcomes also the place."""
    given = list(outcomes)
    if len(given) == 1:
        return pb.ReportRequest(outcomes=[_outcome(given[0])])
    request = pb.ReportRequest()
    for place, outcome in enumerate(given):
        with within(f"outcomes[{place}]"):
            request.outcomes.append(_outcome(outcome))
    return request


def results(response: pb.ReportResponse, *, may_have_arrived: bool) -> tuple[OutcomeResult, ...]:
    """One for each outcome, in their order.

    Where an earlier attempt of the same call may have arrived, a duplicate is what having counted
    the usage then looks like.
    """
    return tuple(
        OutcomeResult(reason="", message="")
        if may_have_arrived and result.reason == "USAGE_DUPLICATE"
        else OutcomeResult(reason=result.reason, message=result.message)
        for result in response.results
    )


def _outcome(outcome: Outcome) -> pb.Outcome:
    return filled(
        pb.Outcome,
        {
            "decision_id": outcome.decision_id,
            "usage": _usage(outcome),
            "feedback": _feedback(outcome),
            "domain": outcome.domain,
            "intent": outcome.intent,
            "attempts": _attempts(outcome.attempts),
        },
    )


def _usage(outcome: Outcome) -> pb.Usage | None:
    """Absent unless something of it is stated: usage counts once, even if it says nothing."""
    stated: dict[str, object] = {
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "latency": None if outcome.latency_s is None else _duration(outcome.latency_s),
        "failed": outcome.failed,
    }
    if outcome.attempts:
        stated = _sums(outcome.attempts) | {k: v for k, v in stated.items() if v is not None}
    if all(value is None for value in stated.values()):
        return None
    return filled(pb.Usage, stated)


def _sums(attempts: Sequence[Attempt]) -> dict[str, object]:
    """What a request took by what is stated of its attempts."""
    answers = [attempt for attempt in attempts if not attempt.failed]
    return {
        "input_tokens": sum(attempt.input_tokens or 0 for attempt in answers),
        "output_tokens": sum(attempt.output_tokens or 0 for attempt in answers),
        "latency": _duration(sum(attempt.latency_s or 0.0 for attempt in attempts)),
        "failed": attempts[-1].failed,
    }


def _attempts(attempts: Sequence[Attempt]) -> list[pb.Attempt]:
    messages = []
    for place, attempt in enumerate(attempts):
        with within(f"attempts[{place}]"):
            messages.append(_attempt(attempt))
    return messages


def _attempt(attempt: Attempt) -> pb.Attempt:
    """Of one that answered, what is not stated is what the others leave of the request's usage."""
    stated = {
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "latency": None if attempt.latency_s is None else _duration(attempt.latency_s),
        "failed": attempt.failed or None,
    }
    message = filled(pb.Attempt, {"model": attempt.model, "endpoint": attempt.endpoint})
    if any(value is not None for value in stated.values()):
        message.usage.CopyFrom(filled(pb.Usage, stated))
    return message


def _feedback(outcome: Outcome) -> list[pb.Feedback]:
    grades = dict(outcome.metrics)
    if outcome.quality is not None:
        grades["quality"] = outcome.quality
    time = _judged(outcome)
    return [_grade(metric, value, time) for metric, value in grades.items()]


def _grade(metric: str, value: float, time: Timestamp | None) -> pb.Feedback:
    with within("quality" if metric == "quality" else "metrics"):
        return filled(pb.Feedback, {"metric": metric, "value": value, "time": time})


def _judged(outcome: Outcome) -> Timestamp | None:
    if outcome.judged_at is None:
        return None
    if outcome.judged_at.utcoffset() is None:
        raise ValueError("judged_at: a time needs its timezone, such as datetime.UTC")
    time = Timestamp()
    time.FromDatetime(outcome.judged_at)
    return time


def _duration(latency_s: float) -> Duration:
    duration = Duration()
    try:
        duration.FromNanoseconds(round(latency_s * _NANO))
    except (ValueError, OverflowError):
        raise ValueError(f"latency_s: a finite number of seconds, not {latency_s}") from None
    return duration
