"""Report: each outcome is parsed by itself, and refused if settling it would cost too much."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from server.control.outcome_messages import asked_of, reported_of
from server.routing.errors import InvalidRequest, PayloadMalformed, RoutingError
from server.routing.outcomes import check_attempts_count, check_feedback_count
from server.routing.reported import Reported
from server.rpc.malformed import parsed
from server.rpc.oip_wire import within
from server.rpc.parts import cut
from server.rpc.turns import Turn
from server.rpc.wire import Bytes
from turnout.v1 import routing_pb2 as pb

# One with all that it may hold takes 1.5 KB, and 3 more if eight attempts have the longest names.
OUTCOME_BYTES_MAX = 4_096
# Parsed in one stretch: the worst takes 2 ms.
STRETCH_BYTES = 128 * 2**10

# Outcomes that health is told of in one stretch: with 8 attempts each they take a millisecond, of
# which opening the decisions' ids is a third.
OBSERVED_AT_ONCE = 20

# Takes the id of a decision, and what was reported of its request.
Observe = Callable[[str, Reported], None]
# One result for each outcome, in order.
Settle = Callable[[Sequence[pb.Outcome]], Awaitable[Sequence[pb.OutcomeResult]]]


async def settle_outcomes(
    data: Bytes, settle: Settle, observe: Observe, turn: Turn
) -> pb.ReportResponse:
    """The answer to a serialised ReportRequest; `observe` is told of requests that were counted.

    Raises before anything is counted, but for ControlPlaneDown: then some may have been.
    """
    parts = await cut(data, "turnout.v1.ReportRequest.outcomes", turn)
    good, refused = await _read(parts, turn)
    results = list(await settle(good))
    await _observe(good, results, observe, turn)
    for place, result in refused.items():  # from the first to the last, so that places hold
        results.insert(place, result)
    return pb.ReportResponse(results=results)


async def _observe(
    outcomes: Sequence[pb.Outcome],
    results: Sequence[pb.OutcomeResult],
    observe: Observe,
    turn: Turn,
) -> None:
    """Passes on each usage that was counted: once, so that repeating it convicts no endpoint."""
    observed = 0
    for outcome, result in zip(outcomes, results, strict=True):
        if outcome.HasField("usage") and not result.reason:
            with suppress(RoutingError):  # it counted: what this worker makes of it is no matter
                observe(outcome.decision_id, reported_of(outcome, asked_of(outcome)))
            observed += 1
            if observed % OBSERVED_AT_ONCE == 0:
                await turn()


async def _read(
    parts: Iterable[Bytes], turn: Turn
) -> tuple[list[pb.Outcome], dict[int, pb.OutcomeResult]]:
    """The outcomes that may be settled, and the results of the others by place."""
    good: list[pb.Outcome] = []
    refused: dict[int, pb.OutcomeResult] = {}
    stretch_bytes = 0
    for place, data in enumerate(parts):
        try:
            good.append(_outcome(data))
        except InvalidRequest as error:
            refused[place] = pb.OutcomeResult(reason=error.reason, message=error.with_field)
        except PayloadMalformed as error:
            path = f"outcomes[{place}]"
            where = within(path, error.field) if error.field else path
            raise PayloadMalformed(str(error), field=where) from None
        stretch_bytes += len(data)
        if stretch_bytes >= STRETCH_BYTES:
            stretch_bytes = 0
            await turn()
    return good, refused


def _outcome(data: Bytes) -> pb.Outcome:
    """Raises InvalidRequest for one that would cost too much, PayloadMalformed for none at all."""
    if len(data) > OUTCOME_BYTES_MAX:
        raise InvalidRequest(f"{len(data):,} bytes: an outcome has at most {OUTCOME_BYTES_MAX:,}")
    outcome = parsed(data, pb.Outcome.FromString)
    check_feedback_count(len(outcome.feedback))
    check_attempts_count(len(outcome.attempts))
    return outcome
