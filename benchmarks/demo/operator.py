"""What an operator does to models and classes while they serve."""

from google.protobuf.field_mask_pb2 import FieldMask

from benchmarks.demo.stage import Stage
from server.config.models import ModelConfig
from turnout.v1 import admin_pb2 as pb


async def add(stage: Stage, config: ModelConfig) -> None:
    """As a new model, or in place of one of that name."""
    await stage.admin.UpdateModel(pb.UpdateModelRequest(model=_message(config), allow_missing=True))


async def drain(stage: Stage, name: str) -> None:
    """No new request goes there."""
    drained = pb.Model(name=name, enabled=False)
    await stage.admin.UpdateModel(
        pb.UpdateModelRequest(model=drained, update_mask=FieldMask(paths=["enabled"]))
    )


async def raise_floor(stage: Stage, traffic_class: str, floor: float) -> None:
    """Until the plan promises it; raises PromiseBroken when that does not come."""
    raised = pb.TrafficClass(name=traffic_class, floor=floor)
    request = pb.UpdateClassRequest(traffic_class=raised, update_mask=FieldMask(paths=["floor"]))
    await stage.admin.UpdateClass(request)
    await stage.plans.until(
        lambda plan: _promises(plan, traffic_class, floor),
        f"the mix of {traffic_class} follows its floor",
    )
    stage.floors[traffic_class] = floor


def _promises(plan: pb.Plan, traffic_class: str, floor: float) -> bool:
    """It was made for that floor, and reaches it for every payer."""
    payers = [one for one in plan.classes if one.traffic_class == traffic_class]
    return all(one.floor == floor and one.accuracy >= floor - 0.001 for one in payers)


def _message(config: ModelConfig) -> pb.Model:
    return pb.Model(
        name=config.name,
        version=config.version,
        protocol=config.protocol,
        endpoints=config.endpoints,
        upstream_name=config.upstream_name,
        enabled=config.enabled,
        price=pb.Price(request_usd=config.price.request_usd),
        capacity=pb.Capacity(requests_per_s=config.capacity.requests_per_s),
        prior_accuracy=config.prior_accuracy,
        prior_grades=config.prior_grades or 0,
    )
