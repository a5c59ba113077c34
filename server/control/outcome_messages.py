"""What an outcome on the wire says of who was asked and what it took."""

from collections.abc import Sequence

from server.routing.reported import Reported, Told, Took
from turnout.v1.routing_pb2 import Outcome, Usage


def took_of(usage: Usage) -> Took:
    return Took(
        usage.latency.seconds + usage.latency.nanos * 1e-9,
        usage.input_tokens,
        usage.output_tokens,
        usage.failed,
    )


def asked_of(outcome: Outcome) -> Sequence[Told]:
    """Who was asked, in order; empty where it was only the decision's own model."""
    return [
        Told(one.model, one.endpoint, took_of(one.usage) if one.HasField("usage") else None)
        for one in outcome.attempts
    ]


def reported_of(outcome: Outcome, asked: Sequence[Told]) -> Reported:
    """What was reported; without usage only who was asked, and whether the last one answered."""
    if outcome.HasField("usage"):
        return Reported(asked, took_of(outcome.usage))
    last = asked[-1].took
    return Reported(asked, Took(failed=last is not None and last.failed))
