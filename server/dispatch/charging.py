"""What an answered attempt is charged for: what its endpoint tells, or what can be said without."""

from server.dispatch.exchange import CHAT, TENSORS
from server.dispatch.overtime import Trip
from server.routing.catalog import NOMINAL_OUTPUT_TOKENS
from server.routing.journey import Attempt
from server.routing.selector import WeightTable
from server.token_usage import NO_TOKENS, TokenUsage


def end_answered(
    trip: Trip, attempt: Attempt, told: TokenUsage | None, table: WeightTable, *, now_s: float
) -> None:
    """Ends the attempt; `table` is the plan, which expects so many tokens of its model."""
    read_tokens = trip.decision.reading.input_tokens
    if told is not None:
        attempt.end_with_answer(now_s, told)
    elif trip.asked.operation is TENSORS:  # it has no tokens, but the price may be by its size
        attempt.end_with_answer(now_s, TokenUsage(read_tokens) if read_tokens else NO_TOKENS)
    else:
        wrote = _expected_tokens(attempt, trip, table) if trip.asked.operation is CHAT else 0
        attempt.end_untold(now_s, read_tokens=read_tokens, expected_tokens=wrote)


def _expected_tokens(attempt: Attempt, trip: Trip, table: WeightTable) -> int:
    """How many tokens the model is expected to write in answer to it: no more than it may."""
    expected = table.expected_tokens(trip.journey.cell, attempt.target.model_index)
    return trip.asked.output_tokens(NOMINAL_OUTPUT_TOKENS if expected is None else expected)
