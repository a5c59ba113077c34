"""A line for each request, as operators read it and as a replay does: never what was asked.

The loop only takes down what has ended; a thread makes lines of it and writes them.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

import structlog

from server.dispatch.overtime import Trip
from server.routing.callers import Caller
from server.routing.catalog import Model
from server.routing.decision import Decision, Grounds
from server.routing.errors import ReaderStalled, StreamBroken
from server.routing.journey import FAILED, Attempt, Journey
from server.routing.query import Query
from server.routing.reading.classifier import Reading
from server.token_usage import NO_TOKENS, TokenUsage

# Some KB each, until they are written: what comes beyond it is counted, and left out.
WAITING_MAX = 8_192
# How long a line may wait.
WRITE_S = 0.25
# Reasons of errors that end what a model was asked for.
_OF_ATTEMPTS = frozenset({ReaderStalled.reason, StreamBroken.reason})
_UPSTREAM = "UPSTREAM_"

_log = structlog.get_logger()

Line: TypeAlias = Mapping[str, object]
# Appends whole lines; raises OSError.
Write = Callable[[Sequence[bytes]], None]


class Whose(NamedTuple):
    """Who asked, as far as it is known."""

    tenant: str = ""
    key_id: str = ""


class Ended(NamedTuple):
    """A request that is over, without what was asked."""

    decision: "Decided"
    whose: Whose
    journey: Journey | None = None  # None: of a decision by Route, whose caller asks
    operation: str = ""
    streams: bool = False


class Refused(NamedTuple):
    """A request for which no model was asked."""

    at_s: float
    reason: str


class Decided(NamedTuple):
    """What a request was decided to be, and on what grounds; none of them has its text."""

    id: str  # empty: no model answered
    at_s: float
    grounds: Grounds
    reading: Reading
    model: Model
    is_audited: bool


class Graded(NamedTuple):
    """What a caller reported of a decision."""

    decision_id: str
    at_s: float
    quality: float | None
    model: str  # that answered; empty where it was the decision's own
    usage: TokenUsage
    latency_s: float | None
    failed: bool


Taken: TypeAlias = Ended | Refused | Graded


class AccessLog:
    """Of one worker."""

    def __init__(
        self, write: Write, *, now_s: Callable[[], float], waiting_max: int = WAITING_MAX
    ) -> None:
        self._write = write
        self._now_s = now_s
        self._waiting_max = waiting_max
        self._waiting: deque[Taken] = deque()
        self._left_out = 0  # since a line was written last
        self._is_failing = False

    def take_trip(self, trip: Trip) -> None:
        """Takes down a request that was forwarded."""
        decided = _decided(trip.decision, trip.decision_id, trip.journey.begun_s)
        whose, asked = _whose(trip.tenant, trip.caller), trip.asked
        self._take(Ended(decided, whose, trip.journey, asked.operation.value, asked.streams))

    def take_decision(self, query: Query, decision: Decision, decision_id: str) -> None:
        """Takes down a decision by Route."""
        decided = _decided(decision, decision_id, self._now_s())
        self._take(Ended(decided, _whose(query.tenant, query.caller)))

    def take_refusal(self, reason: str) -> None:
        """Takes down an error that is the answer; who has asked a model has a line of its own."""
        if reason not in _OF_ATTEMPTS and not reason.startswith(_UPSTREAM):
            self._take(Refused(self._now_s(), reason))

    def take_report(self, graded: Graded) -> None:
        """Takes down what was reported, and counted."""
        self._take(graded)

    async def run(self) -> None:
        """Writes what has come, again and again; never ends."""
        while True:
            await asyncio.sleep(WRITE_S)
            await self.flush()

    async def flush(self) -> None:
        """Returns once everything is written that has come by now."""
        if self._waiting or self._left_out:
            await asyncio.to_thread(self._write_out)

    def _take(self, one: Taken) -> None:
        if len(self._waiting) < self._waiting_max:
            self._waiting.append(one)
        else:
            self._left_out += 1

    def _write_out(self) -> None:
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(len(waiting))]
        left_out, self._left_out = self._left_out, 0
        lines = [_bytes(line_of(one)) for one in taken]
        if left_out:
            lines.append(_bytes({"event": "left out", "lines": left_out}))
        try:
            self._write(lines)
        except OSError as error:
            self._left_out += left_out + len(taken)
            if not self._is_failing:
                _log.error("the access log cannot be written", error=error.strerror or "")
            self._is_failing = True
        else:
            self._is_failing = False


def line_of(one: Taken) -> Line:
    """What is written of it; what is not known or was not, is left out."""
    if isinstance(one, Graded):
        return _of_report(one)
    return _of_refusal(one) if isinstance(one, Refused) else _of_request(one)


def _whose(tenant: str, caller: Caller | None) -> Whose:
    return Whose(tenant, "" if caller is None else caller.key_id)


def _decided(decision: Decision, decision_id: str, at_s: float) -> Decided:
    return Decided(
        decision_id,
        at_s,
        decision.grounds,
        decision.reading,
        decision.target.model,
        decision.audit_probability > 0,
    )


def _of_request(ended: Ended) -> Line:
    decided, journey = ended.decision, ended.journey
    grounds, reading = decided.grounds, decided.reading
    cell = reading.cell
    return {
        "event": "request",
        "time": _moment(decided.at_s),
        "by": _by(ended),
        **_known(operation=ended.operation, decision=decided.id),
        **_known(tenant=ended.whose.tenant, key=ended.whose.key_id),
        "class": cell.traffic_class,
        **_known(payer=cell.payer, domain=cell.domain, size=cell.size_bucket),
        **_known(payload=str(cell.kind), rule=reading.rule, plan=grounds.plan_id),
        "basis": grounds.pick.basis.name.lower(),
        "read_tokens": reading.input_tokens,
        **({"audit": True} if decided.is_audited else {}),
        **({"model": decided.model.name} if journey is None else _of_journey(journey)),
    }


def _by(ended: Ended) -> str:
    if ended.journey is None:
        return "route"
    return "stream" if ended.streams else "infer"


def _of_journey(journey: Journey) -> Line:
    """The last attempt is the request's own; of more than one each is told."""
    attempts = journey.attempts
    if not attempts:
        return {"model": journey.first, "fate": journey.fate.value}
    last = attempts[-1]
    several = {"attempts": [_of_attempt(one) for one in attempts]} if len(attempts) > 1 else {}
    return {
        **_of_attempt(last),
        "fate": journey.fate.value,
        "latency_s": _rounded(journey.latency_s),
        **({"blocked_s": _rounded(journey.blocked_s)} if journey.blocked_s else {}),
        **({"slo_missed": True} if journey.is_late or journey.fate is FAILED else {}),
        "cost_nano_usd": journey.cost_nano_usd,
        **several,
    }


def _of_attempt(attempt: Attempt) -> dict[str, object]:
    first_s = attempt.first_s - attempt.begun_s if attempt.is_answering else None
    return {
        "model": attempt.target.model.name,
        "endpoint": attempt.target.endpoint,
        "fate": "" if attempt.fate is None else attempt.fate.value,
        **({"error": attempt.code.name} if attempt.fate is FAILED else {}),
        **_of_tokens(attempt.usage),
        **({"estimated": True} if attempt.is_estimated else {}),
        "latency_s": _rounded(attempt.took_s),
        **({} if first_s is None else {"first_s": _rounded(first_s)}),
        "cost_nano_usd": attempt.cost_nano_usd,
    }


def _of_tokens(usage: TokenUsage) -> dict[str, object]:
    if usage is NO_TOKENS:
        return {}
    return {
        f"{name}_tokens": tokens
        for name, tokens in zip(TokenUsage.__dataclass_fields__, _each(usage), strict=True)
        if tokens or name in ("input", "output")
    }


def _each(usage: TokenUsage) -> Iterator[int]:
    return (getattr(usage, name) for name in TokenUsage.__dataclass_fields__)


def _of_refusal(refused: Refused) -> Line:
    return {
        "event": "request",
        "time": _moment(refused.at_s),
        "fate": "refused",
        "reason": refused.reason,
    }


def _of_report(graded: Graded) -> Line:
    return {
        "event": "report",
        "time": _moment(graded.at_s),
        "decision": graded.decision_id,
        **_known(model=graded.model),
        **({} if graded.quality is None else {"quality": graded.quality}),
        **_of_tokens(graded.usage),
        **({} if graded.latency_s is None else {"latency_s": _rounded(graded.latency_s)}),
        **({"failed": True} if graded.failed else {}),
    }


def _known(**said: str) -> dict[str, str]:
    return {name: value for name, value in said.items() if value}


def _rounded(seconds: float) -> float:
    return round(seconds, 6)


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def _bytes(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
