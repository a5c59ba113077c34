"""Report: each outcome is parsed by itself, and refused if settling it would cost too much."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from server.control.outcome_messages import asked_of, reported_of, took_of
from server.control.outcomes import USAGE_ALREADY_COUNTED
from server.routing.errors import (
    DecisionTenant,
    InvalidRequest,
    PayloadMalformed,
    RoutingError,
    UsageDuplicate,
)
from server.routing.outcomes import QUALITY, check_attempts_count, check_feedback_count
from server.routing.reported import Reported, Took
from server.rpc.malformed import parsed
from server.rpc.oip_wire import within
from server.rpc.parts import cut
from server.rpc.turns import Turn
from server.rpc.wire import Bytes
from server.telemetry.access_log import AccessLog, Graded
from server.token_usage import TokenUsage
from turnout.v1 import routing_pb2 as pb

# One with all that it may hold takes 1.5 KB, and 3 more if eight attempts have the longest names.
OUTCOME_BYTES_MAX = 4_096
# Parsed in one stretch: the worst takes 2 ms.
STRETCH_BYTES = 128 * 2**10

# To open a decision's id takes as long as to parse so many bytes.
ADMITTED_BYTES = 1_024

# Outcomes that health is told of in one stretch: with 8 attempts each they take a millisecond, of
# which opening the decisions' ids is a third.
OBSERVED_AT_ONCE = 20

# Of results: with these, feedback counts.
_COUNTED = frozenset({"", USAGE_ALREADY_COUNTED, UsageDuplicate.reason})

# Takes the id of a decision, and what was reported of its request.
Observe = Callable[[str, Reported], None]
# Raises a RoutingError where the caller may not report on this decision.
Admit = Callable[[str], None]
# Takes an outcome of which something counted.
OnReported = Callable[[pb.Outcome], None]
# One result for each outcome, in order.
Settle = Callable[[Sequence[pb.Outcome]], Awaitable[Sequence[pb.OutcomeResult]]]


class Listener(NamedTuple):
    """What a worker does with outcomes beside having them settled."""

    observe: Observe  # of requests that were counted
    admit: Admit | None = None  # None: everybody may report on everything
    on_reported: OnReported | None = None


async def settle_outcomes(
    data: Bytes, settle: Settle, listener: Listener, turn: Turn
) -> pb.ReportResponse:
    """The answer to a serialised ReportRequest.

    Raises before anything is counted, but for ControlPlaneDown: then some may have been.
    """
    parts = await cut(data, "turnout.v1.ReportRequest.outcomes", turn)
    good, refused = await _read(parts, listener.admit, turn)
    results = list(await settle(good))
    if listener.on_reported is not None:
        for outcome, result in zip(good, results, strict=True):
            if result.reason in _COUNTED:
                listener.on_reported(outcome)
    await _observe(good, results, listener.observe, turn)
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
    parts: Iterable[Bytes], admit: Admit | None, turn: Turn
) -> tuple[list[pb.Outcome], dict[int, pb.OutcomeResult]]:
    """The outcomes that may be settled, and the results of the others by place."""
    good: list[pb.Outcome] = []
    refused: dict[int, pb.OutcomeResult] = {}
    stretch_bytes = 0
    for place, data in enumerate(parts):
        try:
            outcome = _outcome(data)
            if admit is not None:
                admit(outcome.decision_id)
            good.append(outcome)
        except (InvalidRequest, DecisionTenant) as error:
            refused[place] = pb.OutcomeResult(reason=error.reason, message=error.with_field)
        except PayloadMalformed as error:
            path = f"outcomes[{place}]"
            where = within(path, error.field) if error.field else path
            raise PayloadMalformed(str(error), field=where) from None
        stretch_bytes += len(data) if admit is None else max(len(data), ADMITTED_BYTES)
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


def reporting(access: AccessLog, now_s: Callable[[], float]) -> OnReported:
    """Takes down in an access log what was reported."""

    def on_reported(outcome: pb.Outcome) -> None:
        asked = asked_of(outcome)
        whole = took_of(outcome.usage) if outcome.HasField("usage") else None
        grades = [given.value for given in outcome.feedback if given.metric == QUALITY]
        took = whole or Took()
        access.take_report(
            Graded(
                outcome.decision_id,
                now_s(),
                grades[-1] if grades else None,
                asked[-1].model if asked else "",
                TokenUsage(input=took.input_tokens, output=took.output_tokens),
                took.latency_s if whole else None,
                took.failed,
            )
        )

    return on_reported
