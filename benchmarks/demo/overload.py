"""Overload: most of what comes cannot be served, and what matters most is."""

from collections.abc import Sequence

from benchmarks.demo.configuration import BULK, SLO, model_config
from benchmarks.demo.digit_stage import DigitStage
from benchmarks.demo.load import Served, Stream
from benchmarks.demo.models import NEW_VERSION, SMALL, THREADS
from benchmarks.demo.operator import add, drain
from benchmarks.demo.promises import poisson_high
from server.config.models import CapacityConfig
from turnout.v1 import admin_pb2 as pb

TIMES = 3.0
# What the last model's server can do, and what its operator lets it take: less, so that answers
# come in time, and still do while the plan has not heard of all that comes.
_SERVER_PER_S = 150.0
CAPACITY_PER_S = 60.0
_BUSY_S = THREADS / _SERVER_PER_S
# On top of the 125 a second that came so far: more than three times the capacity, and more than
# the server can do.
_SURGE_PER_S = 70.0
# Of what fits, what is answered in time at least.
_SERVED_MIN = 0.95
PROMISES = 2  # of those below, the ones that are judged by an interval
_BINDS = f"capacity of {SMALL}"


async def overload(stage: DigitStage) -> None:
    await stage.servers.start(SMALL, trained_as=NEW_VERSION, busy_s=_BUSY_S)
    port = await stage.servers.port_of(SMALL)
    served_as = model_config(NEW_VERSION, stage.study.measured[NEW_VERSION], port)
    capacity = CapacityConfig(requests_per_s=CAPACITY_PER_S)
    await add(stage, served_as.model_copy(update={"name": SMALL, "capacity": capacity}))
    before = await stage.admin.ListModels(pb.ListModelsRequest())
    for name in (one.model.name for one in before.models if one.model.name != SMALL):
        await drain(stage, name)
    stage.load.add(Stream(BULK, _SURGE_PER_S, seed=stage.seed, from_s=stage.load.now_s()))
    await stage.plans.until(_sheds_for_want_of_it, f"the plan refuses a part of {BULK}")


def _sheds_for_want_of_it(plan: pb.Plan) -> bool:
    shed = {one.traffic_class for one in plan.classes if one.shed > 0}
    return BULK in shed and any(SMALL in breach.text for breach in plan.breaches)


def ruled_out(served: Sequence[Served], watched_s: float, confidence: float) -> list[str]:
    """That of the promises of overload which the samples rule out, in words."""
    refused = [one.failure for one in served if one.is_shed]
    in_time = sum(one.answer is not None and one.latency_s <= SLO.ms / 1_000 for one in served)
    fits = CAPACITY_PER_S * watched_s
    unnamed = sum(_BINDS not in failure for failure in refused)
    checks = (
        (poisson_high(len(served), confidence) < TIMES * fits, f"{TIMES:g} times as much comes"),
        (poisson_high(in_time, confidence) < _SERVED_MIN * fits, "what fits is answered in time"),
        (not refused, f"the rest of {BULK} is refused"),
        (unnamed > 0, f"each refusal names the {_BINDS}: {unnamed} do not"),
    )
    return [promise for is_broken, promise in checks if is_broken]
