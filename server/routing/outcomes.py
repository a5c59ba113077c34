"""What an outcome may hold: checked before it is counted."""

from collections.abc import Sequence

from server.routing.errors import InvalidRequest, QualityInvalid

# The one metric that is used: it counts for floors. Others are checked and kept nowhere.
QUALITY = "quality"
FEEDBACK_MAX = 8
METRIC_CHARS_MAX = 64
LABEL_CHARS_MAX = 128
# No request takes a day or reads a hundred million tokens; a clock or a counter that is off would
# spend a budget at one stroke.
LATENCY_S_MAX = 86_400.0
TOKENS_MAX = 100_000_000


def check_usage(latency_s: float, input_tokens: int, output_tokens: int) -> None:
    """Raises InvalidRequest where a figure cannot be what was meant."""
    if not 0 <= latency_s <= LATENCY_S_MAX:
        raise InvalidRequest(
            f"a latency of {latency_s} s: send the time from sent to answered, at most a day",
            field="usage.latency",
        )
    for field, tokens in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
        if tokens > TOKENS_MAX:
            raise InvalidRequest(
                f"{tokens} tokens: send those of one request, at most {TOKENS_MAX:,}",
                field=f"usage.{field}",
            )


def check_feedback(feedback: Sequence[tuple[str, float]]) -> None:
    """Raises where a metric or its value cannot be what was meant."""
    check_feedback_count(len(feedback))
    for metric, value in feedback:
        _check(metric, value)


def check_feedback_count(count: int) -> None:
    """Raises InvalidRequest where there are too many on one decision."""
    if count > FEEDBACK_MAX:
        raise InvalidRequest(
            f"{count} feedbacks on one decision: send at most {FEEDBACK_MAX}", field="feedback"
        )


def check_labels(domain: str, intent: str) -> None:
    """Raises InvalidRequest where they are no labels."""
    for field, label in (("domain", domain), ("intent", intent)):
        if len(label) > LABEL_CHARS_MAX:
            raise InvalidRequest(
                f"a {field} of {len(label)} characters: send at most {LABEL_CHARS_MAX}", field=field
            )


def _check(metric: str, value: float) -> None:
    if not 0 < len(metric) <= METRIC_CHARS_MAX:
        raise InvalidRequest(
            f"a metric has a name of 1 to {METRIC_CHARS_MAX} characters", field="feedback.metric"
        )
    if not 0.0 <= value <= 1.0:  # NaN is in no range
        raise QualityInvalid(
            f"{metric} is {value}: send a number from 0 (wrong) to 1 (right)",
            field="feedback.value",
        )
