"""What is known, as operators read it."""

from collections.abc import Iterator, Mapping

from optimizer.estimate.accuracy import Estimate
from server.config.list_prices import filled_in
from server.control.estimates import believed_before
from server.control.knowledge import Knowledge
from server.control.messages import (
    budget_message,
    estimate_message,
    model_message,
    price_message,
    timestamp,
)
from server.routing.catalog import payload_kinds
from turnout.v1 import admin_pb2 as pb


def workers(knowledge: Knowledge) -> Iterator[pb.Worker]:
    """Every worker that has pushed, by name."""
    states = knowledge.workers.states()
    for state in sorted(states, key=lambda state: (len(state.worker), state.worker)):  # 2 before 10
        yield pb.Worker(
            name=state.worker,
            last_push=timestamp(state.pushed_s),
            decided=state.decided,
            connections=0 if state.listener is None else state.listener.connections,
            plan_id=state.plan_id,
            plan_age_s=state.plan_age_s,
        )


def model_statuses(
    knowledge: Knowledge, accuracy: Mapping[str, Estimate], *, now_s: float
) -> Iterator[pb.ModelStatus]:
    """Every model, with what is believed of it and what it did in the last hour."""
    workers, in_flight = knowledge.workers, knowledge.workers.in_flight(now_s=now_s)
    ejected, until_s = knowledge.ejected(now_s=now_s), workers.ejected_until_s(now_s=now_s)
    for model in knowledge.config.models:
        names = [(model.name, address) for address in model.endpoints]
        endpoints = [
            pb.EndpointStatus(
                address=name[1],
                ejected=name in ejected,
                in_flight=in_flight[name],
                ejected_until=timestamp(until_s[name]) if name in ejected else None,
            )
            for name in names
        ]
        hour = knowledge.last_hour.of(("model", model.name), now_s=now_s)
        yield pb.ModelStatus(
            model=model_message(model),
            in_flight=sum(endpoint.in_flight for endpoint in endpoints),
            endpoints=endpoints,
            accuracy=estimate_message(accuracy.get(model.name) or believed_before(model)),
            requests=hour.decided,
            cost_nano_usd=hour.cost_nano_usd,
            unreported=max(hour.unreported, 0),
            unreported_nano_usd=max(hour.unreported_nano_usd, 0),
            payload_kinds=payload_kinds(model.protocol, model.serves),
            estimated_nano_usd=hour.estimated_nano_usd,
            charged=price_message(filled_in(model.price)),
        )


def budget_statuses(knowledge: Knowledge, *, now_s: float) -> Iterator[pb.BudgetStatus]:
    """Every budget, with what it has spent in the period that runs."""
    config = knowledge.config
    states = knowledge.spending.states(window_s=config.window_s, now_s=now_s)
    for budget in config.budgets:
        state = states[budget.name]
        yield pb.BudgetStatus(
            budget=budget_message(budget),
            spent_nano_usd=state.spent_nano_usd,
            unreported=state.unreported,
            unreported_nano_usd=state.unreported_nano_usd,
            estimated_nano_usd=state.estimated_nano_usd,
        )
