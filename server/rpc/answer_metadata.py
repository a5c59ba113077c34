"""What is told beside an answer: in its head who gives it, in its trailers what it took."""

from typing import TypeAlias

from server.dispatch.answers import Answer, StreamedAnswer

Told: TypeAlias = tuple[tuple[str, str], ...]


def head(answer: Answer | StreamedAnswer) -> Told:
    """Known once a model answers."""
    return (
        ("turnout-decision-id", answer.decision_id),
        ("turnout-model", answer.target.model.name),
        ("turnout-report-wanted", str(int(answer.decision.audit_probability > 0))),
    )


def trailers(answer: Answer | StreamedAnswer) -> Told:
    """Known at its end."""
    return (
        ("turnout-attempts", str(answer.attempts)),
        ("turnout-cost-nano-usd", str(answer.cost_nano_usd)),
    )


def token_trailers(answer: StreamedAnswer) -> Told:
    """The same, of an answer that a language model wrote."""
    return (
        *trailers(answer),
        ("turnout-input-tokens", str(answer.counted.all_input)),
        ("turnout-output-tokens", str(answer.counted.all_output)),
    )
