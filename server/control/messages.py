"""What the admin service speaks of, as its messages."""

from google.protobuf.timestamp_pb2 import Timestamp

from optimizer.estimate.accuracy import Estimate
from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from server.control.comparison import Comparison
from server.control.update_log import Update
from turnout.v1 import admin_pb2 as pb


def model_message(model: ModelConfig) -> pb.Model:
    return pb.Model(
        name=model.name,
        version=model.version,
        protocol=model.protocol,
        endpoints=model.endpoints,
        upstream_name=model.upstream_name,
        enabled=model.enabled,
        price=price_message(model.price),
        capacity=pb.Capacity(**model.capacity.model_dump()),
        prior_accuracy=model.prior_accuracy,
        prior_grades=model.prior_grades or 0,
        capabilities=model.capabilities,
    )


def price_message(price: PriceConfig) -> pb.Price:
    return pb.Price(**price.model_dump())


def class_message(traffic_class: ClassConfig) -> pb.TrafficClass:
    slo = traffic_class.slo
    return pb.TrafficClass(
        name=traffic_class.name,
        floor=traffic_class.floor or 0.0,
        slo=None if slo is None else pb.Slo(**slo.model_dump()),
        audit_rate=traffic_class.audit_rate,
        priority=traffic_class.priority,
        deadline_s=traffic_class.deadline_s,
        output_tokens_max=traffic_class.output_tokens_max or 0,
        floor_when_short=traffic_class.floor_when_short,
        domain_floor=traffic_class.domain_floor or 0.0,
        aim=traffic_class.aim or "",
    )


def budget_message(budget: BudgetConfig) -> pb.Budget:
    return pb.Budget(
        name=budget.name,
        amount_usd=budget.amount_usd,
        period=budget.period,
        tenant=budget.scope.tenant or "",
        traffic_class=budget.scope.traffic_class or "",
        aim=budget.aim,
    )


def update_message(update: Update) -> pb.ConfigUpdate:
    return pb.ConfigUpdate(
        time=timestamp(update.time_s),
        who=update.author.who,
        operator=update.author.operator,
        changes=[pb.ConfigChange(**change._asdict()) for change in update.changes],
        left_out=update.left_out,
    )


def comparison_message(comparison: Comparison) -> pb.ClassifierComparison:
    return pb.ClassifierComparison(
        requests=comparison.requests,
        same_domain=comparison.same_domain,
        other_before=comparison.other_before,
        other_after=comparison.other_after,
        labelled=comparison.labelled,
        right_before=comparison.right_before,
        right_after=comparison.right_after,
    )


def estimate_message(estimate: Estimate) -> pb.Estimate:
    return pb.Estimate(
        mean=estimate.mean, low=estimate.low, high=estimate.high, grades=estimate.grades
    )


def timestamp(now_s: float) -> Timestamp:
    message = Timestamp()
    message.FromNanoseconds(round(now_s * 1e9))
    return message
