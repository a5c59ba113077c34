"""What callers tell of requests that they saw through, as the journeys that these were."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from server.routing.catalog import Catalog, Cell
from server.routing.endpoints import EndpointLoad, Target
from server.routing.health import EndpointKey, HealthTracker
from server.routing.journey import Attempt, Fate, Journey, Purpose
from server.status_code import Code
from server.token_usage import TokenUsage

# Callers do not say with what an attempt failed; this code speaks against nobody by itself.
_FAILED_WITH = Code.UNKNOWN


class Took(NamedTuple):
    """What an attempt or a whole request took."""

    latency_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    failed: bool = False


class Told(NamedTuple):
    """One model that was asked, and what is said of it."""

    model: str
    endpoint: str  # empty: it was not said
    took: Took | None  # None: nothing was said


class Reported(NamedTuple):
    """A request as its caller tells of it: every model that was asked, as their attempts ended.

    Nobody where it was not said who; by then it is the decision's own.
    """

    asked: Sequence[Told]
    whole: Took

    @property
    def answered_by(self) -> str | None:
        """The model whose answer the caller has; None if none answered."""
        return None if self.whole.failed else self.asked[-1].model


def journey_of(reported: Reported, cell: Cell, first: str, catalog: Catalog) -> Journey:
    """The journey of a request of which the decision named `first`, on a clock of its own."""
    of_class = catalog.classes.get(cell.traffic_class)  # None: it left since
    return Journey(
        cell,
        first,
        begun_s=0.0,
        slo_s=None if of_class is None else of_class.slo_s,
        attempts=list(_attempts(reported, catalog, 0.0)),
        ended_s=reported.whole.latency_s,
    )


def observe(
    reported: Reported,
    catalog: Catalog,
    loads: Mapping[EndpointKey, EndpointLoad],
    health: HealthTracker,
    *,
    decided_s: float,
    now_s: float,
) -> None:
    """Counts attempts that callers made at endpoints, and tells health of the latest.

    Who failed at what another answered is to blame. What nobody answered may be its caller's fault.
    A request is taken to have begun when it was decided: what comes late says how it was then, and
    after the time of an ejection nothing of now.
    """
    since_s = now_s - health.ejection_s
    for attempt in _attempts(reported, catalog, min(decided_s, now_s - reported.whole.latency_s)):
        load = loads.get(attempt.target.key)
        if load is not None:
            load.attempts += 1
            if not reported.whole.failed and attempt.ended_s >= since_s:
                _record_attempt(health, attempt, now_s)


def _record_attempt(health: HealthTracker, attempt: Attempt, now_s: float) -> None:
    if attempt.fate is Fate.ANSWERED:
        health.record_success(attempt.target.key, sent_s=attempt.begun_s, now_s=attempt.ended_s)
    else:
        health.record_failure(attempt.target.key, sent_s=attempt.begun_s, now_s=now_s)


def _attempts(reported: Reported, catalog: Catalog, begun_s: float) -> Iterator[Attempt]:
    """One after the other; of a model that is not in the catalog nothing is counted."""
    purpose = Purpose.FIRST
    for model, address, took in _each_with_what_it_took(reported):
        index = catalog.index.get(model)
        if index is not None:
            attempt = Attempt(_target(index, address, catalog), purpose, begun_s)
            _end(attempt, took)
            yield attempt
        begun_s += took.latency_s
        purpose = Purpose.RETRY


def _end(attempt: Attempt, took: Took) -> None:
    ended_s = attempt.begun_s + took.latency_s
    if took.failed:
        attempt.end_without_answer(Fate.FAILED, ended_s, _FAILED_WITH)
    else:
        usage = TokenUsage(input=took.input_tokens, output=took.output_tokens)
        attempt.end_with_answer(ended_s, usage)


def _target(index: int, address: str, catalog: Catalog) -> Target:
    model = catalog.models[index]
    if not address and len(model.endpoints) == 1:
        address = model.endpoints[0]
    return Target(index, model, address)


def _each_with_what_it_took(reported: Reported) -> Iterator[tuple[str, str, Took]]:
    """Of the last what the others left, where nothing is said of it; others failed then."""
    *others, last = reported.asked
    for model, endpoint, took in others:
        yield model, endpoint, took or Took(failed=True)
    said = [took for _, _, took in others if took is not None]
    yield last.model, last.endpoint, last.took or _rest(reported.whole, said)


def _rest(whole: Took, others: Sequence[Took]) -> Took:
    answers = [
        took for took in others if not took.failed
    ]  # the tokens of others are charged by none
    return Took(
        latency_s=max(whole.latency_s - sum(took.latency_s for took in others), 0.0),
        input_tokens=max(whole.input_tokens - sum(took.input_tokens for took in answers), 0),
        output_tokens=max(whole.output_tokens - sum(took.output_tokens for took in answers), 0),
        failed=whole.failed,
    )
