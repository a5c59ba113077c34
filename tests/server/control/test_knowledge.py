from collections.abc import Sequence

import pytest

from optimizer.estimate.account import FloorAccount
from server.config.schema import BUDGETS_MAX
from server.control.boot import WORKER_SILENT_S
from server.control.budgets import Spending
from server.control.estimates import Estimates, believed_before
from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.routing.catalog import Cell
from tests.server.control.learning import learned, window_of
from tests.server.control.told import (
    CHAT,
    CODE,
    KEY,
    LARGE,
    NOW_S,
    SMALL,
    answered,
    decision_id,
    push,
    quality,
    service,
    stats,
    usage,
)
from turnout.v1 import control_pb2 as pb
from turnout.v1.routing_pb2 import Feedback, Outcome, Usage


def spent_nano_usd(knowledge: Knowledge) -> int:
    states = knowledge.spending.states(window_s=5.0, now_s=NOW_S)
    return states["team"].spent_nano_usd


def settle(
    knowledge: Knowledge,
    sealed: str,
    *,
    of: Usage | None = None,
    feedback: Sequence[Feedback] = (),
    now_s: float = NOW_S,
    table: Outcomes | None = None,
) -> None:
    outcome = Outcome(decision_id=sealed, usage=of, feedback=feedback)
    settlement = (table or Outcomes(KEY, bool)).settle(outcome, now_s=now_s)
    knowledge.count_settlement(settlement, now_s=now_s)


def endpoint(address: str, *, ejected: bool) -> pb.EndpointStats:
    return pb.EndpointStats(model="small", address=address, ejected=ejected)


def test_a_push_is_counted_in_totals_in_the_last_hour_and_in_budgets() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(answered(CODE, "small", 10)), now_s=NOW_S)
    assert knowledge.totals["code", "small"].completed == 10
    assert knowledge.last_hour.of(("model", "small"), now_s=NOW_S).decided == 10
    assert knowledge.last_hour.of(("group", ("code", "team")), now_s=NOW_S).completed == 10
    assert spent_nano_usd(knowledge) == 10_000_000


def test_what_was_counted_before_this_control_plane_is_in_totals_alone() -> None:
    knowledge = Knowledge(service(), epoch=2)
    old = push(answered(CODE, "small", 10), sequence=40, began_epoch=1, epoch=1)
    knowledge.count_push(old, now_s=NOW_S)
    assert knowledge.totals["code", "small"].completed == 10
    assert spent_nano_usd(knowledge) == 0
    assert not any(learned(knowledge).demand.per_s().values())


def test_slow_requests_of_a_workers_long_life_are_not_taken_for_those_of_now() -> None:
    knowledge, estimates, now_s = Knowledge(service(), epoch=2), Estimates(), NOW_S
    slow = answered(CODE, "small", 1_000_000, bucket=60)
    slow.slo_missed = 1_000_000
    before = push(slow, sequence=40, began_epoch=1, epoch=1)
    knowledge.count_push(before, now_s=now_s)
    for window in range(1, 181):  # 15 minutes of ten fast ones a second
        now_s += 5.0
        fast = answered(CODE, "small", 1_000_000 + 50 * window, bucket=60)
        fast.slo_missed = 1_000_000
        fast.latency_counts[60], fast.latency_counts[20] = 1_000_000, 50 * window
        pushed = push(fast, sequence=40 + window, began_epoch=1, epoch=2)
        knowledge.count_push(pushed, now_s=now_s)
        learned(knowledge, estimates, now_s=now_s)
    window_of_now = window_of(knowledge, estimates, now_s=now_s)
    assert window_of_now is not None
    assert window_of_now.problem.miss[0, 0] < 0.001
    assert window_of_now.problem.demand[0] == pytest.approx(50.0, rel=0.03)


@pytest.mark.parametrize(
    ("cell", "model"),
    [
        (CODE, "gone"),
        (CODE._replace(traffic_class="gone"), "small"),
        (CODE._replace(kind=""), "small"),
    ],
)
def test_what_the_configuration_does_not_know_is_not_counted(cell: Cell, model: str) -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(answered(cell, model, 10)), now_s=NOW_S)
    settle(knowledge, decision_id(cell=cell, model=model), of=usage(), feedback=[quality(1.0)])
    assert knowledge.totals == {}
    assert knowledge.feedback.total() == 0


def test_usage_that_a_caller_tells_costs_by_the_models_price() -> None:
    prices = {"input_usd_per_mtok": 10.0, "output_usd_per_mtok": 20.0, "busy_second_usd": 0.5}
    knowledge = Knowledge(service(models=(SMALL | {"price": prices}, LARGE)))
    settle(knowledge, decision_id(), of=usage(latency_ms=20))
    # 100 sealed_ids in, 50 out, 20 ms.
    assert spent_nano_usd(knowledge) == 1_000_000 + 1_000_000 + 10_000_000
    counts = knowledge.totals["code", "small"]
    assert (counts.completed, counts.slo_missed, counts.input_tokens) == (1, 0, 100)
    assert sum(counts.latency_counts) == 1


@pytest.mark.parametrize(
    ("told", "failed", "missed"),
    [(usage(99), 0, 0), (usage(101), 0, 1), (usage(20, failed=True), 1, 1)],
)
def test_an_slo_is_missed_by_being_late_or_by_failing(
    told: Usage, failed: int, missed: int
) -> None:
    knowledge = Knowledge(service())
    settle(knowledge, decision_id(), of=told)
    counts = knowledge.totals["code", "small"]
    assert (counts.failed, counts.slo_missed) == (failed, missed)


def test_a_grade_of_the_audit_sample_counts_by_its_probability() -> None:
    knowledge = Knowledge(service())
    settle(knowledge, decision_id(audit_probability=0.25), feedback=[quality(1.0)])
    settle(knowledge, decision_id(audit_probability=1.0), feedback=[quality(0.0)])
    # One in four was asked, so the right answer stands for four.
    assert learned(knowledge).accuracy.of_group("code", "team", NOW_S).mean == pytest.approx(4 / 5)
    assert knowledge.feedback == {"audited": 2}


def test_a_replaced_grade_counts_as_if_only_the_later_one_had_come() -> None:
    replaced, only = Knowledge(service()), Knowledge(service())
    table, sealed = Outcomes(KEY, bool), decision_id()
    for now_s, value in ((NOW_S, 0.0), (NOW_S + 9, 1.0)):
        settle(replaced, sealed, feedback=[quality(value)], now_s=now_s, table=table)
    settle(only, sealed, feedback=[quality(1.0)], now_s=NOW_S + 9)
    found, expected = (learned(k).accuracy.of_model("small", NOW_S + 9) for k in (replaced, only))
    assert found == pytest.approx(expected)


def test_a_replaced_grade_moves_an_account_as_if_only_the_later_one_had_come() -> None:
    replaced, only = FloorAccount(0.85), FloorAccount(0.85)
    knowledge = Knowledge(service())
    estimates = Estimates()
    estimates.accounts["code", "team"] = replaced
    table, sealed = Outcomes(KEY, bool), decision_id(audit_probability=1.0)
    for now_s, value in ((NOW_S, 0.0), (NOW_S + 9, 1.0)):
        settle(knowledge, sealed, feedback=[quality(value)], now_s=now_s, table=table)
    learned(knowledge, estimates)
    only.record_grade(1.0, 1.0, decided_s=NOW_S, now_s=NOW_S + 9)
    found, expected = (a.required(0.85, NOW_S + 9) for a in (replaced, only))
    assert found == pytest.approx(expected, abs=1e-9)
    assert expected < 0.85


@pytest.mark.parametrize(
    "sealed", [decision_id(audit_probability=0.0), decision_id(cell=CHAT)], ids=["unasked", "none"]
)
def test_a_grade_that_nobody_asked_for_feeds_no_floor(sealed: str) -> None:
    knowledge = Knowledge(service())
    settle(knowledge, sealed, feedback=[quality(0.0)])
    assert learned(knowledge).accuracy.of_model("small", NOW_S).grades == 0
    assert knowledge.feedback == {"unasked": 1}


def test_closing_a_window_tells_demand_once() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(
        push(answered(CODE, "small", 30), answered(CODE, "large", 20)), now_s=NOW_S
    )
    estimates = learned(knowledge)
    assert estimates.demand.per_s() == pytest.approx({CODE: 10.0})
    learned(knowledge, estimates, now_s=NOW_S + 5)
    assert 0 < estimates.demand.per_s()[CODE] < 10.0


def test_closing_a_window_tells_latency_and_usage() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(answered(CODE, "small", 3_000, bucket=20)), now_s=NOW_S)
    estimates = learned(knowledge)
    assert estimates.latency.miss("small", 0.002, NOW_S) > 0.9
    assert estimates.latency.miss("small", 0.010, NOW_S) < 0.1
    busy_s = estimates.usage.mean([CODE], ["small"], NOW_S).busy_s
    assert busy_s[0, 0] == pytest.approx(0.003, rel=0.05)


def test_a_model_is_up_while_one_endpoint_is() -> None:
    knowledge = Knowledge(service())
    first = [endpoint("127.0.0.1:1", ejected=True)]
    knowledge.count_push(push(endpoints=first), now_s=NOW_S)
    assert knowledge.models_up(now_s=NOW_S) == {"small", "large"}
    both = [*first, endpoint("127.0.0.1:2", ejected=True)]
    knowledge.count_push(push(endpoints=both, sequence=2), now_s=NOW_S)
    assert knowledge.models_up(now_s=NOW_S) == {"large"}
    assert knowledge.models_up(now_s=NOW_S + WORKER_SILENT_S + 1) == {"small", "large"}


def test_one_workers_bad_path_takes_no_model_from_the_plan_of_all() -> None:
    knowledge = Knowledge(service())
    both = [endpoint(f"127.0.0.1:{n}", ejected=True) for n in (1, 2)]
    fine = [endpoint(f"127.0.0.1:{n}", ejected=False) for n in (1, 2)]
    for n, told in enumerate((both, fine, fine)):
        knowledge.count_push(push(endpoints=told, worker=f"w{n}"), now_s=NOW_S)
    assert knowledge.models_up(now_s=NOW_S) == {"small", "large"}


def test_a_model_without_endpoints_is_up_while_it_is_enabled() -> None:
    own = LARGE | {"name": "own", "protocol": "openai", "endpoints": ()}
    knowledge = Knowledge(service(models=(SMALL, own)))
    assert knowledge.models_up(now_s=NOW_S) == {"small", "own"}
    knowledge.configure(service(models=(SMALL, own | {"enabled": False})))
    assert knowledge.models_up(now_s=NOW_S) == {"small"}


def test_a_drained_model_is_not_up() -> None:
    knowledge = Knowledge(service(models=(SMALL | {"enabled": False}, LARGE)))
    assert knowledge.models_up(now_s=NOW_S) == {"large"}


def test_a_model_that_is_added_while_running_counts_at_once() -> None:
    knowledge = Knowledge(service())
    added = LARGE | {"name": "huge"}
    knowledge.configure(service(models=(SMALL, LARGE, added)))
    knowledge.count_push(push(stats(CODE, "huge", decided=1)), now_s=NOW_S)
    assert knowledge.totals["code", "huge"].decided == 1
    assert learned(knowledge).accuracy.mean([CODE], ["huge"], NOW_S)[0, 0] == pytest.approx(0.95)


def test_a_prior_is_believed_as_far_as_its_grades_go() -> None:
    wide, narrow = (
        believed_before(service(models=(SMALL | {"prior_grades": grades}, LARGE)).models[0])
        for grades in (None, 10_000)
    )
    assert wide.mean == narrow.mean == pytest.approx(0.8)
    assert narrow.high - narrow.low < 0.02 < wide.high - wide.low


def test_reports_on_decisions_of_before_the_accounts_began_take_nothing_off() -> None:
    knowledge = Knowledge(service(), epoch=round(NOW_S * 1_000))
    outcomes = Outcomes(KEY, lambda name: True)
    before = Outcome(decision_id=decision_id(now_s=NOW_S - 600), usage=usage())
    knowledge.count_settlement(outcomes.settle(before, now_s=NOW_S + 1), now_s=NOW_S + 1)
    told = stats(CODE, "small", decided=5, unreported=5, unreported_nano_usd=5_000_000)
    knowledge.count_push(push(told), now_s=NOW_S + 2)
    state = knowledge.spending.states(window_s=5.0, now_s=NOW_S + 3)["team"]
    assert (state.unreported, state.unreported_nano_usd) == (5, 5_000_000)
    assert knowledge.last_hour.of(("model", "small"), now_s=NOW_S + 3).unreported == 5


def test_money_is_counted_of_a_model_and_a_class_that_left_meanwhile() -> None:
    """In flight, or decided and still to be reported on, when the configuration lost them."""
    knowledge = Knowledge(service())
    token = decision_id()  # of small, in code
    left = service(models=(LARGE,), classes=({"name": "chat", "default": True},))
    knowledge.configure(left.model_copy(update={"budgets": service().budgets}))
    knowledge.count_push(push(answered(CODE, "small", 10)), now_s=NOW_S)
    assert spent_nano_usd(knowledge) == 10_000_000
    settle(knowledge, token, of=usage())
    assert spent_nano_usd(knowledge) == 11_000_000
    assert not knowledge.totals
    assert not any(learned(knowledge).demand.per_s().values())


def test_a_report_may_name_a_model_that_left() -> None:
    knowledge = Knowledge(service())
    knowledge.configure(service(models=(LARGE,)))
    assert set(knowledge.with_left.index) == {"small", "large"}
    assert set(knowledge.catalog.index) == {"large"}


def test_what_is_exported_of_names_that_left_is_forgotten() -> None:
    """One file after another with other names must not add up for ever."""
    knowledge = Knowledge(service())
    knowledge.count_push(
        push(answered(CODE, "small", 10), answered(CHAT, "large", 10)), now_s=NOW_S
    )
    assert set(knowledge.totals) == {("code", "small"), ("chat", "large")}
    knowledge.configure(service(models=(LARGE,)))
    assert set(knowledge.totals) == {("chat", "large")}


def test_what_is_exported_of_payers_and_domains_that_left_is_forgotten() -> None:
    knowledge = Knowledge(service(domains=({"name": "law"},)))
    law = CODE._replace(domain="law")
    knowledge.count_push(
        push(answered(law, "small", 10), answered(CODE, "small", 1), stats(CODE, "", shed=3)),
        now_s=NOW_S,
    )
    assert (set(knowledge.domains), set(knowledge.shed)) == ({"law", CODE.domain}, {CODE[:2]})
    knowledge.configure(service(budgets=()))
    assert (set(knowledge.domains), set(knowledge.shed)) == ({CODE.domain}, set())


def test_an_account_of_a_payer_that_left_is_closed() -> None:
    estimates = Estimates()
    estimates.configure(service(), NOW_S)
    estimates.accounts = {group: FloorAccount(0.85) for group in (("code", "team"), ("code", "-"))}
    estimates.configure(service(budgets=()), NOW_S)
    assert set(estimates.accounts) == {("code", "-")}


def test_a_budget_that_left_has_its_money_when_it_returns_and_the_oldest_are_forgotten() -> None:
    spending, budget = Spending(), service().budgets[0]
    spending.configure((budget,))
    spending.spend("team", 7, now_s=NOW_S)
    spending.configure(())
    spending.configure((budget,))
    assert spending.states(window_s=5.0, now_s=NOW_S)["team"].spent_nano_usd == 7
    for number in range(BUDGETS_MAX + 1):
        spending.configure((budget.model_copy(update={"name": f"b{number}"}),))
        spending.spend(f"b{number}", 1, now_s=NOW_S)
    assert len(spending.to_plain()) <= BUDGETS_MAX + 1
    spending.configure((budget,))
    assert spending.states(window_s=5.0, now_s=NOW_S)["team"].spent_nano_usd == 0


def test_an_account_of_a_class_that_left_is_closed() -> None:
    estimates = Estimates()
    estimates.configure(service(), NOW_S)
    accounts = {name: FloorAccount(0.85) for name in (("code", "team"), ("chat", "-"))}
    estimates.accounts = dict(accounts)
    estimates.configure(service(classes=({"name": "chat", "default": True},), budgets=()), NOW_S)
    assert estimates.accounts == {("chat", "-"): accounts["chat", "-"]}


def test_a_budget_that_is_added_is_told_of_the_requests_of_the_hour_before_it() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(answered(CODE, "small", 10)), now_s=NOW_S)
    budgets = [{"name": name, "amount_usd": 9.0, "period": "day"} for name in ("company", "team")]
    knowledge.reconfigure(service(budgets=tuple(budgets)))
    assert knowledge.last_hour.of(("group", ("code", "company+team")), now_s=NOW_S).decided == 10
    assert knowledge.last_hour.of(("group", ("code", "team")), now_s=NOW_S).decided == 0


def test_what_was_estimated_is_shown_of_models_and_budgets_as_part_of_what_is_spent() -> None:
    knowledge = Knowledge(service())
    told = stats(
        CODE, "small", attempts=2, cost_nano_usd=50, estimated=1, estimated_nano_usd=20, guessed=1
    )
    knowledge.count_push(push(told, began_epoch=1), now_s=NOW_S)
    state = knowledge.spending.states(window_s=5.0, now_s=NOW_S)["team"]
    assert (state.spent_nano_usd, state.estimated_nano_usd) == (50, 20)
    hour = knowledge.last_hour.of(("model", "small"), now_s=NOW_S)
    assert (hour.cost_nano_usd, hour.estimated_nano_usd) == (50, 20)


def test_list_prices_are_filled_in_where_models_are_compiled_and_stay_a_name_elsewhere() -> None:
    hosted = SMALL | {"price": {"list_price": "openai/gpt-4o"}}
    knowledge = Knowledge(service(models=(hosted, LARGE)))
    assert knowledge.catalog.models[0].price.base.input > 0
    assert knowledge.config.models[0].price.list_price == "openai/gpt-4o"
