"""What was learned outlives the process: what is taken up plans and counts on as it was."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.schema import Config
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.control.remembered import take_up, taken
from server.control.state_file import Kept, StateInvalid, packed, unpacked
from server.routing.decision_id import Sealer
from server.routing.errors import DecisionExpired
from tests.server.control.learning import learned as learn
from tests.server.control.learning import window_of
from tests.server.control.told import (
    CHAT,
    CODE,
    KEY,
    NOW_S,
    answered,
    decision_id,
    push,
    quality,
    service,
    usage,
)
from turnout.v1.control_pb2 import CellStats
from turnout.v1.routing_pb2 import Outcome

BEFORE, AFTER = 1_000, 2_000  # epochs
DECISION = decision_id()
LATER_S = NOW_S + 60.0


class Known(NamedTuple):
    """What one control plane knows."""

    knowledge: Knowledge
    estimates: Estimates
    outcomes: Outcomes


def known(epoch: int, config: Config) -> Known:
    return Known(Knowledge(config, epoch=epoch), Estimates(), Outcomes(KEY, lambda name: True))


def learned() -> Known:
    """One window of two classes, with a report, a floor's account and money."""
    found = known(BEFORE, service())
    knowledge = found.knowledge
    knowledge.drift.expect({"other": 0.9, "law": 0.1})
    tell(knowledge, answered(CODE, "small", 200), answered(CHAT, "large", 10, bucket=60))
    settle(found, DECISION)
    window_of(knowledge, learn(knowledge, found.estimates))  # which opens accounts
    return found


def tell(knowledge: Knowledge, *cells: CellStats, sequence: int = 1, epoch: int = BEFORE) -> None:
    told = push(*cells, sequence=sequence, began_epoch=BEFORE, epoch=epoch)
    knowledge.count_push(told, now_s=NOW_S)


def settle(found: Known, sealed: str, grade: float = 1.0) -> str:
    """The reason of its refusal; empty if it counted."""
    outcome = Outcome(decision_id=sealed, usage=usage(), feedback=[quality(grade)])
    settlement = found.outcomes.settle(outcome, now_s=NOW_S)
    found.knowledge.count_settlement(settlement, now_s=NOW_S)
    return settlement.result.reason


def written(found: Known) -> Kept:
    """As a file has it."""
    return unpacked(b"".join(packed(taken(*found), written_s=NOW_S, version="0.1.0")))


def started(kept: Kept, *, now_s: float = NOW_S, config: Config | None = None) -> Known:
    found = known(AFTER, config or service())
    estimates = take_up(kept, found.knowledge, found.outcomes, epoch=AFTER, now_s=now_s)
    return found._replace(estimates=estimates)


def numbers(found: Known, now_s: float) -> Iterator[Any]:
    window = window_of(found.knowledge, found.estimates, now_s=now_s)
    if window is None:
        assert not found.estimates.demand.per_s()  # nothing is asked, so nothing is planned
        return
    problem = window.problem
    yield from (problem.demand, problem.cost_nano_usd, problem.accuracy, problem.miss)
    yield [group.floor or 0.0 for group in problem.groups]
    yield [budget.pace_nano_usd for budget in problem.budgets]


def test_the_next_window_is_the_one_that_would_have_been() -> None:
    before = learned()
    again = started(written(before))
    for expected, found in zip(numbers(before, LATER_S), numbers(again, LATER_S), strict=True):
        assert np.asarray(found) == pytest.approx(np.asarray(expected))


def test_what_was_counted_is_shown_as_before() -> None:
    before = learned()
    again = started(written(before))
    for key in (("model", "small"), ("group", ("code", "team"))):
        hour = again.knowledge.last_hour.of(key, now_s=NOW_S)
        assert hour == before.knowledge.last_hour.of(key, now_s=NOW_S)
        assert hour.decided == 200
    accuracy = again.estimates.accuracy
    assert accuracy.of_group("code", "team", NOW_S).grades == pytest.approx(1.0)
    assert accuracy.of_model("small", NOW_S) == before.estimates.accuracy.of_model("small", NOW_S)


def test_a_report_that_is_repeated_over_a_restart_is_counted_once() -> None:
    found = learned()
    again = started(written(found))
    states = again.knowledge.spending.states(window_s=5.0, now_s=NOW_S)
    spent = states["team"].spent_nano_usd
    assert settle(again, DECISION) == "USAGE_DUPLICATE"
    states = again.knowledge.spending.states(window_s=5.0, now_s=NOW_S)
    assert states["team"].spent_nano_usd == spent
    learn(again.knowledge, again.estimates)
    assert again.estimates.accuracy.of_group("code", "team", NOW_S).grades == pytest.approx(1.0)


def test_a_grade_that_comes_after_a_restart_replaces_the_one_before() -> None:
    again = started(written(learned()))
    settle(again, DECISION, grade=0.0)
    learn(again.knowledge, again.estimates)
    found = again.estimates.accuracy.of_group("code", "team", NOW_S)
    assert found.mean == 0.0
    assert found.grades == pytest.approx(1.0)


def test_a_decision_that_has_left_the_table_is_refused_after_a_restart_too() -> None:
    found = Outcomes(KEY, lambda name: True, remembered_max=1)
    sealer = Sealer(KEY, 1)
    first, second = (decision_id(sealer=sealer, now_s=NOW_S + n) for n in range(-1, 1))
    for sealed in (first, second):
        found.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S)
    again = started(written(learned()._replace(outcomes=found)))
    with pytest.raises(DecisionExpired):
        again.outcomes.settle(Outcome(decision_id=first, usage=usage()), now_s=NOW_S)


def test_money_is_counted_on_and_what_a_worker_tells_again_is_not() -> None:
    again = started(written(learned())).knowledge
    tell(again, answered(CODE, "small", 250), sequence=2, epoch=AFTER)
    states = again.spending.states(window_s=5.0, now_s=NOW_S)
    assert states["team"].spent_nano_usd == 250_000_000 + 1_000_000  # reported


def test_the_mix_of_domains_is_compared_on_unless_the_classifier_is_another() -> None:
    kept = written(learned())
    same, other = started(kept).knowledge, started(kept).knowledge
    same.drift.expect({"other": 0.9, "law": 0.1})
    other.drift.expect({"other": 1.0})
    assert [same.drift.to_plain()["slices"], other.drift.to_plain()["slices"]] == [
        [[NOW_S // 300, {"other": 210, "law": 0}]],
        [],
    ]


def test_what_the_configuration_no_longer_has_does_no_harm() -> None:
    models = tuple(m.model_dump() for m in service().models if m.name == "large")
    classes = tuple(c.model_dump() for c in service().classes if c.name == "chat")
    config = service(models=models, classes=classes, budgets=())
    again = started(written(learned()), config=config)
    window = window_of(again.knowledge, again.estimates)
    assert window is not None
    assert [cell.traffic_class for cell in window.cells] == ["chat"]


@pytest.mark.parametrize("now_s", [NOW_S - 1e8, NOW_S + 1e9])
def test_a_clock_that_was_set_back_or_years_ahead_leaves_something_to_plan_with(
    now_s: float,
) -> None:
    again = started(written(learned()), now_s=now_s)
    again.knowledge.count_push(push(answered(CODE, "small", 20), worker="new"), now_s=now_s)
    learn(again.knowledge, again.estimates, now_s=now_s)
    assert all(np.isfinite(np.asarray(part)).all() for part in numbers(again, now_s))


# What files from before they were kept do not have.
SINCE = ("models", "needs")


def test_a_file_from_before_models_and_needs_were_watched_is_taken_up() -> None:
    kept = written(learned())
    for part in SINCE:
        del kept.plain[part]
    again = started(kept)
    assert again.estimates.changes.newest == ()
    assert again.estimates.accuracy.of_model("small", NOW_S).grades > 0


@pytest.mark.parametrize("part", [part for part in taken(*learned()) if part not in SINCE])
def test_a_file_without_a_part_is_refused_and_nothing_is_taken_up(part: str) -> None:
    kept = written(learned())
    del kept.plain[part]
    found, why = known(AFTER, service()), f"it holds what we do not write: {part}: Field required"
    with pytest.raises(StateInvalid, match=why):
        take_up(kept, found.knowledge, found.outcomes, epoch=AFTER, now_s=NOW_S)
    assert written(found).plain == written(known(AFTER, service())).plain


PLACES = list[str | int]


def places(plain: Any, before: PLACES) -> Iterator[PLACES]:
    """Of every value in a plain, from the outside in."""
    yield before
    keys = (
        plain if isinstance(plain, dict) else range(len(plain)) if isinstance(plain, list) else ()
    )
    for key in keys:
        yield from places(plain[key], [*before, key])


WHOLE = written(learned()).plain
OTHERS: st.SearchStrategy[object] = st.sampled_from(
    [None, True, "", "x", 0, -1, 10**40, 1e-320, 1e39, 1e300, [], [[]], {}, {"x": 1}, ["x", 1]]
)


@settings(max_examples=200)
@given(st.sampled_from(list(places(WHOLE, []))[1:]), OTHERS)
def test_what_was_damaged_is_refused_or_planned_with(place: PLACES, other: object) -> None:
    plain = copy.deepcopy(WHOLE)
    *outer, last = place
    inside: Any = plain
    for key in outer:
        inside = inside[key]
    inside[last] = other
    with suppress(StateInvalid):
        again = started(Kept(NOW_S, "", json.loads(json.dumps(plain))))
        tell(again.knowledge, answered(CODE, "small", 250), sequence=2, epoch=AFTER)
        settle(again, DECISION, 0.5)
        learn(again.knowledge, again.estimates, now_s=LATER_S)
        list(numbers(again, LATER_S))  # whose problem refuses numbers that are none
        json.dumps(written(again).plain, allow_nan=False)
