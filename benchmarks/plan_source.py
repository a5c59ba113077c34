"""A control plane that has a new plan whenever it is told something.

`python -m benchmarks.plan_source SOCKET CELLS` serves ControlService on a Unix socket: the real
publisher and parts, with shares that are made up. Every push of counters brings a new plan. Says
"ready", and ends with its standard input.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator

import grpc
import uvloop

from server.config.as_json import to_json
from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.control.parts import Shares, parts_of
from server.control.publisher import Publisher
from server.routing.catalog import Cell
from server.routing.selector import ModelShares
from turnout.v1 import control_pb2 as pb
from turnout.v1 import control_pb2_grpc

Context = grpc.aio.ServicerContext[object, object]

_MODELS = 20
# Of a plan's cells one in so many is split over three models; the others have one.
_SPLIT_EVERY = 5


class PlanSource(control_pb2_grpc.ControlServiceServicer):
    """Publishes plans of this many cells."""

    def __init__(self, cells: int) -> None:
        self._publisher = Publisher(1, to_json(config()))
        self._shares = shares(cells)
        self._plans = itertools.count(1)
        self._publish()

    async def WatchPlan(
        self, _request: pb.WatchPlanRequest, _context: Context
    ) -> AsyncIterator[pb.WatchPlanResponse]:
        async for part in self._publisher.watch():
            yield part

    async def WatchKeys(
        self, _request: pb.WatchKeysRequest, _context: Context
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        yield pb.WatchKeysResponse(number=1)  # none was ever made
        await asyncio.Event().wait()

    async def PushStats(
        self, _request: pb.PushStatsRequest, _context: Context
    ) -> pb.PushStatsResponse:
        self._publish()
        return pb.PushStatsResponse()

    async def Settle(self, _request: pb.SettleRequest, _context: Context) -> pb.SettleResponse:
        return pb.SettleResponse()

    def _publish(self) -> None:
        parts = parts_of(f"plan-{next(self._plans)}", self._shares)
        self._publisher.publish_plan(parts, plan_s=time.time(), window_s=5.0)


def config() -> Config:
    """Models for the shares to speak of."""
    return Config(
        models=tuple(
            ModelConfig(
                name=f"model-{m}",
                protocol="oip",
                endpoints=(f"127.0.0.1:{1 + m}",),
                price=PriceConfig(request_usd=0.001),
                prior_accuracy=0.9,
            )
            for m in range(_MODELS)
        ),
        classes=(ClassConfig(name="class-0", default=True),),
    )


def shares(cells: int) -> Shares:
    """Of as many cells, a hundred to a class."""
    return Shares(
        models=tuple(f"model-{m}" for m in range(_MODELS)),
        cells={
            Cell(
                f"class-{i // 100}", f"team-{i % 5}", f"domain-{i // 5 % 5}", f"s{i // 25 % 4}"
            ): _model_shares(i)
            for i in range(cells)
        },
        classes={f"class-{c}": _model_shares(c) for c in range(cells // 100)},
    )


def _model_shares(index: int) -> ModelShares:
    first = index % _MODELS
    if index % _SPLIT_EVERY:
        return ((first, 1.0, 1_000_000),)
    others = (first + 1) % _MODELS, (first + 2) % _MODELS
    return ((first, 0.5, 1_000_000), (others[0], 0.3, 2_000_000), (others[1], 0.2, 3_000_000))


async def serve(socket: str, cells: int) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
    server = grpc.aio.server()
    control_pb2_grpc.add_ControlServiceServicer_to_server(PlanSource(cells), server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    print("ready", flush=True)
    await over.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
