"""A request as its caller tells of it: the same attempts and counts as if it had been forwarded."""

from typing import Any

import pytest

from server.config.classes import ClassConfig, SloConfig
from server.config.models import HealthConfig, PriceConfig
from server.routing.catalog import Cell, compile_catalog
from server.routing.counters import Counters, Leg
from server.routing.endpoints import Endpoints
from server.routing.health import EndpointKey, HealthTracker
from server.routing.journey import Fate, count_journey
from server.routing.reported import Reported, Told, Took, journey_of, observe
from server.token_usage import TokenUsage
from tests.server.routing.configs import config, model

CELL = Cell("chat", "-", "other", "s0", "text")
PRICE = PriceConfig(input_usd_per_mtok=1.0, busy_second_usd=0.001)
CATALOG = compile_catalog(
    config(
        model("small", price=PRICE),
        model("large", price=PRICE, endpoints=("large:1", "large:2")),
        classes=(ClassConfig(name="chat", default=True, slo=SloConfig(ms=500, fraction=0.9)),),
    )
)
SMALL, LARGE = (0, "small:8001"), (1, "large:2")
FAILED = Took(0.25, failed=True)


def counts(reported: Reported, name: str) -> Any:
    """Of one model, for requests that were to begin with small."""
    counters = Counters()
    count_journey(journey_of(reported, CELL, "small", CATALOG), counters)
    return counters.get(Leg(CELL, "small", name))


def test_a_fallback_is_booked_where_it_was_and_the_request_where_it_began() -> None:
    asked = [Told("small", "", FAILED), Told("large", "large:2", Took(0.5, 100, 50))]
    reported = Reported(asked, Took(0.75, 100, 50))
    small, large = counts(reported, "small"), counts(reported, "large")
    assert (small.attempts, small.answered, small.busy_s, small.input_tokens) == (1, 0, 0.25, 0)
    assert (large.attempts, large.answered, large.busy_s, large.input_tokens) == (1, 1, 0.5, 100)
    assert (small.cost_nano_usd, large.cost_nano_usd) == (250_000, 100_000 + 500_000)
    assert (small.ended, small.completed, small.failed, small.slo_missed) == (1, 1, 0, 1)
    assert (large.ended, large.completed) == (0, 0)


def test_the_model_of_the_decision_may_have_been_passed_by() -> None:
    reported = Reported([Told("large", "", None)], Took(0.1, 100))
    small, large = counts(reported, "small"), counts(reported, "large")
    assert (small.attempts, small.ended, small.completed) == (0, 1, 1)
    assert (large.attempts, large.answered, large.input_tokens) == (1, 1, 100)


def test_of_the_last_attempt_what_is_not_said_is_what_the_others_leave() -> None:
    asked = [Told("small", "", FAILED), Told("large", "", Took(0.25, 10)), Told("large", "", None)]
    *_, last = journey_of(Reported(asked, Took(0.75, 100, 7)), CELL, "small", CATALOG).attempts
    assert (last.took_s, last.usage) == (0.25, TokenUsage(input=90, output=7))
    assert last.fate is Fate.ANSWERED


def test_of_an_earlier_attempt_nothing_said_is_that_it_failed_and_took_nothing() -> None:
    asked = [Told("small", "", None), Told("large", "", None)]
    first, last = journey_of(Reported(asked, Took(0.5, 100)), CELL, "small", CATALOG).attempts
    assert (first.fate, first.took_s, first.cost_nano_usd) == (Fate.FAILED, 0, 0)
    assert (last.fate, last.took_s, last.usage.input) == (Fate.ANSWERED, 0.5, 100)


def test_more_than_the_whole_is_left_by_nobody() -> None:
    asked = [Told("small", "", Took(9.0, failed=True)), Told("large", "", None)]
    *_, last = journey_of(Reported(asked, Took(0.5, 1)), CELL, "small", CATALOG).attempts
    assert last.took_s == 0.0


def test_a_request_that_nobody_answered_has_failed() -> None:
    asked = [Told("small", "", FAILED), Told("large", "", FAILED)]
    reported = Reported(asked, Took(0.5, failed=True))
    assert reported.answered_by is None
    small = counts(reported, "small")
    assert (small.completed, small.failed, small.slo_missed) == (1, 1, 1)


def test_a_model_that_the_configuration_has_no_more_is_left_out() -> None:
    asked = [Told("gone", "", FAILED), Told("large", "", None)]
    (last,) = journey_of(Reported(asked, Took(0.5)), CELL, "small", CATALOG).attempts
    assert (last.target.model.name, last.took_s) == ("large", 0.25)


class Seen:
    """What a worker knows of the three endpoints."""

    def __init__(self) -> None:
        self.health = HealthTracker(HealthConfig(consecutive_failures_max=2, ejection_s=10))
        self.endpoints = Endpoints(self.health, lambda: 0.5)
        self.endpoints.track([SMALL, (1, "large:1"), LARGE])

    def tell(
        self,
        *asked: Told,
        failed: bool = False,
        now_s: float = 100.0,
        decided_s: float | None = None,
        took_s: float = 0.5,
    ) -> None:
        observe(
            Reported(asked, Took(took_s, failed=failed)),
            CATALOG,
            self.endpoints.loads,
            self.health,
            decided_s=now_s - took_s if decided_s is None else decided_s,
            now_s=now_s,
        )

    def ejected(self) -> list[EndpointKey]:
        return [e for e in self.endpoints.loads if self.health.is_ejected(e)]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_an_endpoint_that_failed_at_what_another_answered_is_ejected(seen: Seen) -> None:
    for _ in range(2):
        seen.tell(Told("large", "large:2", FAILED), Told("small", "", None))
    assert seen.ejected() == [LARGE]


def test_what_nobody_answered_ejects_nobody(seen: Seen) -> None:
    for _ in range(9):
        seen.tell(Told("large", "large:2", FAILED), Told("small", "", FAILED), failed=True)
    assert seen.ejected() == []


def test_an_answer_that_is_told_of_ends_a_row_of_failures(seen: Seen) -> None:
    for _ in range(9):
        seen.tell(Told("large", "large:2", FAILED), Told("small", "", None))
        seen.tell(Told("large", "large:2", None), now_s=101.0)
    assert seen.ejected() == []


def test_attempts_that_are_told_of_weigh_as_those_of_the_worker(seen: Seen) -> None:
    seen.tell(Told("large", "large:2", FAILED), Told("small", "", None))
    seen.tell(Told("large", "large:2", FAILED), failed=True)
    made = {endpoint: load.attempts for endpoint, load in seen.endpoints.loads.items()}
    assert made == {SMALL: 1, (1, "large:1"): 0, LARGE: 2}


@pytest.mark.parametrize("address", ["", "large:9", "small:8001"])
def test_an_endpoint_that_is_not_known_convicts_nobody(seen: Seen, address: str) -> None:
    for _ in range(9):
        seen.tell(Told("large", address, FAILED), Told("small", "", None))
    assert seen.ejected() == []


def test_failures_that_are_told_of_late_convict_nobody(seen: Seen) -> None:
    for _ in range(9):
        seen.tell(Told("large", "large:2", FAILED), Told("small", "", None), decided_s=89.0)
    assert seen.ejected() == []


def test_answers_that_are_told_of_late_excuse_nobody(seen: Seen) -> None:
    for _ in range(2):
        seen.tell(Told("large", "large:2", FAILED), Told("small", "", None))
        seen.tell(Told("large", "large:2", None), decided_s=89.0)
    assert seen.ejected() == [LARGE]


def test_a_failure_is_as_old_as_its_end_however_long_it_took(seen: Seen) -> None:
    waited = Told("large", "large:2", Took(60.0, failed=True))
    for _ in range(2):
        seen.tell(waited, Told("small", "", None), decided_s=39.0, took_s=61.0)
    assert seen.ejected() == [LARGE]


def test_what_was_decided_before_an_ejection_does_not_make_the_next_longer(seen: Seen) -> None:
    fallen_back = Told("large", "large:2", FAILED), Told("small", "", None)
    for _ in range(2):
        seen.tell(*fallen_back)
    seen.health.record_good_probe(LARGE)  # so one more failure would do
    for _ in range(9):
        seen.tell(*fallen_back, now_s=101.0, decided_s=98.0)
    assert seen.ejected() == []
    seen.tell(*fallen_back, now_s=101.0)
    assert seen.ejected() == [LARGE]


def test_an_answer_that_is_told_of_makes_no_endpoint_heard_of_less_lately(seen: Seen) -> None:
    seen.health.record_poor_answer(LARGE, now_s=99.0)
    seen.tell(Told("large", "large:2", None), decided_s=95.0)
    assert seen.health.was_heard(LARGE, since_s=98.0)


def test_one_that_was_ejected_for_silence_is_back_by_what_it_answered_since(seen: Seen) -> None:
    for _ in range(2):
        seen.health.record_failure(LARGE, sent_s=90.0, now_s=100.0, is_silent=True)
    answered = Told("large", "large:2", None)
    seen.tell(answered, now_s=101.0, decided_s=98.0, took_s=1.0)
    assert seen.ejected() == [LARGE]
    seen.tell(answered, now_s=101.0, decided_s=98.0, took_s=2.5)
    assert seen.ejected() == []
