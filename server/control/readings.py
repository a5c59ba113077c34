"""What is exported of the control plane, by the names of server.telemetry.metrics."""

from collections.abc import Iterator, Mapping, Sequence

from server.control.key_ring import KeyRecord
from server.control.key_totals import KeyTotals
from server.control.knowledge import Knowledge
from server.money import to_usd
from server.transport import limit_names
from turnout.v1.admin_pb2 import Plan

Point = tuple[Mapping[str, str], float]  # attributes, value
Duration = tuple[Mapping[str, str], Sequence[int]]  # attributes, counts by bucket

# Always exported, so that a breach shows as a step from 0 to 1.
_BREACH_KINDS = ("capacity", "slo", "floor", "pace")


def values(
    knowledge: Knowledge, plan: Plan | None, changed: Mapping[str, int], *, now_s: float
) -> dict[str, list[Point]]:
    """The values of every counter and gauge, by the name of its metric."""
    refusals = knowledge.refusals + knowledge.workers.refusals()
    return {
        "turnout.decisions": list(_decisions(knowledge)),
        "turnout.requests": list(_requests(knowledge)),
        "turnout.cost": list(_cost(knowledge)),
        "turnout.refusals": [({"reason": reason}, n) for reason, n in refusals.items()],
        "turnout.shed": list(_shed(knowledge)),
        "turnout.feedback": [({"result": result}, n) for result, n in knowledge.feedback.items()],
        "turnout.domains": [({"domain": name}, n) for name, n in knowledge.domains.items()],
        "turnout.domains.drift": list(_drift(knowledge, now_s)),
        "turnout.model.changes": [
            ({"model": model.name}, changed.get(model.name, 0)) for model in knowledge.config.models
        ],
        "turnout.plan.age": [] if plan is None else [({}, now_s - plan.time.ToNanoseconds() / 1e9)],
        "turnout.worker.plan_age": list(_plan_ages(knowledge, now_s)),
        "turnout.plan.breaches": [] if plan is None else list(_breaches(plan)),
        "turnout.endpoint.ejected": list(_ejected(knowledge, now_s)),
        **_transport(knowledge, now_s),
        **_unreported(knowledge, now_s),
        **_floors(plan),
        **_budgets(knowledge, now_s),
    }


def of_keys(records: Sequence[KeyRecord], totals: KeyTotals) -> dict[str, list[Point]]:
    """What was asked by each key, of those that were used at all."""
    told = [({"key": one.id, "tenant": one.terms.tenant}, totals.of(one.id)) for one in records]
    used = [(names, total) for names, total in told if total.requests]
    return {
        "turnout.key.requests": [(names, total.requests) for names, total in used],
        "turnout.key.cost": [(names, to_usd(total.cost_nano_usd)) for names, total in used],
        "turnout.key.tokens": [
            (names | {"type": kind}, tokens)
            for names, total in used
            for kind, tokens in (("input", total.input_tokens), ("output", total.output_tokens))
        ],
    }


def durations(knowledge: Knowledge) -> list[Duration]:
    """Latency counts by class and model."""
    return [(_names(key), counts.latency_counts) for key, counts in knowledge.totals.items()]


def _names(key: tuple[str, str]) -> dict[str, str]:
    return {"traffic_class": key[0], "model": key[1]}


def _decisions(knowledge: Knowledge) -> Iterator[Point]:
    for key, counts in knowledge.totals.items():
        yield _names(key), counts.decided


def _requests(knowledge: Knowledge) -> Iterator[Point]:
    for key, counts in knowledge.totals.items():
        yield _names(key) | {"outcome": "ok"}, counts.completed - counts.slo_missed
        yield _names(key) | {"outcome": "slow"}, counts.slo_missed - counts.failed
        yield _names(key) | {"outcome": "failed"}, counts.failed


def _cost(knowledge: Knowledge) -> Iterator[Point]:
    for key, counts in knowledge.totals.items():
        yield _names(key), to_usd(counts.cost_nano_usd)


def _shed(knowledge: Knowledge) -> Iterator[Point]:
    for (traffic_class, payer), count in knowledge.shed.items():
        yield {"traffic_class": traffic_class, "payer": payer}, count


def _drift(knowledge: Knowledge, now_s: float) -> Iterator[Point]:
    drift = knowledge.drift.of(now_s=now_s)
    if drift is not None and drift.index is not None:
        yield {}, drift.index


def _breaches(plan: Plan) -> Iterator[Point]:
    for kind in _BREACH_KINDS:
        yield {"kind": kind}, sum(breach.kind == kind for breach in plan.breaches)


def _plan_ages(knowledge: Knowledge, now_s: float) -> Iterator[Point]:
    """A worker that is cut off no longer says how old its plan is, but it gets no younger."""
    for state in knowledge.workers.states():
        if state.plan_age_s is not None:
            yield {"worker": state.worker}, state.plan_age_s + now_s - state.pushed_s


def _ejected(knowledge: Knowledge, now_s: float) -> Iterator[Point]:
    ejected = knowledge.ejected(now_s=now_s)
    for model in knowledge.config.models:
        for address in model.endpoints:
            out = (model.name, address) in ejected
            yield {"model": model.name, "endpoint": address}, float(out)


def _transport(knowledge: Knowledge, now_s: float) -> dict[str, list[Point]]:
    """All limits are exported from the start, so that the first time shows as a step to 1."""
    workers = knowledge.workers
    reached, connections = workers.limits_reached(), workers.connections(now_s=now_s)
    return {
        "turnout.transport.limits_reached": [({"limit": n}, reached[n]) for n in limit_names.ALL],
        "turnout.transport.calls": [({}, workers.calls())],
        "turnout.transport.connections": [] if connections is None else [({}, connections)],
    }


def _unreported(knowledge: Knowledge, now_s: float) -> dict[str, list[Point]]:
    """What was not reported of the last hour; a report can overtake the count of its decision."""
    hours = {
        model.name: knowledge.last_hour.of(("model", model.name), now_s=now_s)
        for model in knowledge.config.models
    }
    return {
        "turnout.unreported": [
            ({"model": name}, max(hour.unreported, 0)) for name, hour in hours.items()
        ],
        "turnout.unreported.cost": [
            ({"model": name}, to_usd(max(hour.unreported_nano_usd, 0)))
            for name, hour in hours.items()
        ],
    }


def _floors(plan: Plan | None) -> dict[str, list[Point]]:
    """Floors, and what became of them: realised only where there are grades."""
    promised: list[Point] = []
    required: list[Point] = []
    realised: list[Point] = []
    for entry in () if plan is None else plan.classes:
        names = {"traffic_class": entry.traffic_class, "payer": entry.payer}
        if entry.floor > 0:
            promised.append((names, entry.floor))
            required.append((names, entry.required))
        if entry.realised_accuracy.grades > 0:
            realised.append((names, entry.realised_accuracy.mean))
    return {
        "turnout.floor.promised": promised,
        "turnout.floor.required": required,
        "turnout.floor.realised": realised,
    }


def _budgets(knowledge: Knowledge, now_s: float) -> dict[str, list[Point]]:
    states = knowledge.spending.states(window_s=knowledge.config.window_s, now_s=now_s)
    spent: list[Point] = [({"budget": s.name}, to_usd(s.spent_nano_usd)) for s in states.values()]
    left: list[Point] = [
        ({"budget": s.name}, to_usd(s.amount_nano_usd - s.spent_nano_usd)) for s in states.values()
    ]
    unreported: list[Point] = [
        ({"budget": s.name}, to_usd(s.unreported_nano_usd)) for s in states.values()
    ]
    estimated: list[Point] = [
        ({"budget": s.name}, to_usd(s.estimated_nano_usd)) for s in states.values()
    ]
    return {
        "turnout.budget.spent": spent,
        "turnout.budget.estimated": estimated,
        "turnout.budget.left": left,
        "turnout.budget.unreported": unreported,
    }
