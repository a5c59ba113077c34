"""What an outcome may hold: checked before it is counted."""

from collections.abc import Sequence

from server.routing.errors import InvalidRequest, QualityInvalid

# The metric that counts for floors; others are only counted.
QUALITY = "quality"
FEEDBACK_MAX = 8
METRIC_CHARS_MAX = 64


def check_outcome(feedback: Sequence[tuple[str, float]], latency_s: float | None) -> None:
    """Raises where a metric, its value or the latency (None: no usage) cannot be what was meant."""
    if len(feedback) > FEEDBACK_MAX:
        raise InvalidRequest(
            f"{len(feedback)} feedbacks on one decision: send at most {FEEDBACK_MAX}",
            field="feedback",
        )
    for metric, value in feedback:
        _check_feedback(metric, value)
    if latency_s is not None and latency_s < 0:
        raise InvalidRequest(
            f"a latency of {latency_s} s: send the time from sent to answered",
            field="usage.latency",
        )


def _check_feedback(metric: str, value: float) -> None:
    if not 0 < len(metric) <= METRIC_CHARS_MAX:
        raise InvalidRequest(
            f"a metric has a name of 1 to {METRIC_CHARS_MAX} characters", field="feedback.metric"
        )
    if not 0.0 <= value <= 1.0:  # NaN is in no range
        raise QualityInvalid(
            f"{metric} is {value}: send a number from 0 (wrong) to 1 (right)",
            field="feedback.value",
        )
