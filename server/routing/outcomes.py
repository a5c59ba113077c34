"""What an outcome may hold: checked before it is counted."""

from collections.abc import Callable, Sequence

from server.routing.errors import InvalidRequest, QualityInvalid
from server.routing.reported import Reported, Told, Took

# The one metric that is used: it counts for floors. Others are checked and kept nowhere.
QUALITY = "quality"
FEEDBACK_MAX = 8
# A decision names one model and three fallbacks, and each may be asked again.
ATTEMPTS_MAX = 8
METRIC_CHARS_MAX = 64
LABEL_CHARS_MAX = 128
# No request takes a day or reads a hundred million tokens; a clock or a counter that is off would
# spend a budget at one stroke.
LATENCY_S_MAX = 86_400.0
TOKENS_MAX = 100_000_000


def check_usage(took: Took, *, field: str = "usage") -> None:
    """Raises InvalidRequest where a figure cannot be what was meant."""
    if not 0 <= took.latency_s <= LATENCY_S_MAX:
        raise InvalidRequest(
            f"a latency of {took.latency_s} s: send the time from sent to answered, at most a day",
            field=f"{field}.latency",
        )
    tokens = {"input_tokens": took.input_tokens, "output_tokens": took.output_tokens}
    for name, count in tokens.items():
        if count > TOKENS_MAX:
            raise InvalidRequest(
                f"{count} tokens: send those of one request, at most {TOKENS_MAX:,}",
                field=f"{field}.{name}",
            )


def check_attempts(asked: Sequence[Told], is_model: Callable[[str], bool]) -> None:
    """Raises InvalidRequest where one of them cannot be what was meant."""
    check_attempts_count(len(asked))
    for place, (model, _, took) in enumerate(asked):
        if not is_model(model):
            raise InvalidRequest(
                f"there is no model {model!r}: name the one that was asked as the decision did",
                field=f"attempts[{place}].model",
            )
        if took is not None:
            check_usage(took, field=f"attempts[{place}].usage")


def check_attempts_count(count: int) -> None:
    """Raises InvalidRequest where there are too many for one decision."""
    if count > ATTEMPTS_MAX:
        raise InvalidRequest(
            f"{count} attempts of one request: send the last {ATTEMPTS_MAX}", field="attempts"
        )


def check_end(reported: Reported) -> None:
    """Raises InvalidRequest where the request did not end as its last attempt did."""
    last = reported.asked[-1].took
    if last is None or last.failed == reported.whole.failed:
        return
    if last.failed:
        wrong = "the last attempt failed, so the request did: set it, or put last who answered"
    else:
        wrong = "the last attempt was answered, so the request was: leave it out, or set it there"
    raise InvalidRequest(wrong, field="usage.failed")


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
