"""A control plane that sends what a script says."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from server.config.as_json import to_json
from server.control.client import (
    control_channel,
)
from server.rpc.errors import Context
from tests.server.control.served import Worker
from tests.server.control.told import service
from turnout.v1 import control_pb2 as pb
from turnout.v1.control_pb2_grpc import (
    ControlServiceServicer,
    add_ControlServiceServicer_to_server,
)
from turnout.v1.routing_pb2 import Outcome, OutcomeResult

Parts = Sequence[pb.WatchPlanResponse]
CONFIG = to_json(service())


class Scripted(ControlServiceServicer):
    """Answers each watch with the next of the scripts, and then breaks it off."""

    def __init__(self, scripts: Sequence[Parts]) -> None:
        self.scripts = list(scripts)
        self.watches: list[pb.WatchPlanRequest] = []
        self.pushes: list[pb.PushStatsRequest] = []
        self.settled: list[Outcome] = []
        self.pieces: list[int] = []  # how many outcomes each call of Settle had
        self.fails_after: int | None = None
        self.refuses = False

    async def WatchPlan(
        self, request: pb.WatchPlanRequest, context: Context
    ) -> AsyncIterator[pb.WatchPlanResponse]:
        self.watches.append(request)
        for part in self.scripts.pop(0):
            yield part
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    async def WatchKeys(
        self, request: pb.WatchKeysRequest, context: Context
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        yield pb.WatchKeysResponse(number=1)

    async def PushStats(
        self, request: pb.PushStatsRequest, context: Context
    ) -> pb.PushStatsResponse:
        self.pushes.append(request)
        return pb.PushStatsResponse()

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:
        if self.refuses:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "another protocol")
        if len(self.pieces) == self.fails_after:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        self.pieces.append(len(request.outcomes))
        self.settled.extend(request.outcomes)
        return pb.SettleResponse(
            results=[OutcomeResult(reason="R", message=o.decision_id) for o in request.outcomes]
        )


@asynccontextmanager
async def scripted(folder: Path, *scripts: Parts) -> AsyncIterator[tuple[Scripted, Worker]]:
    server, servicer = grpc.aio.server(), Scripted(scripts)
    add_ControlServiceServicer_to_server(servicer, server)
    address = f"unix:{folder / 'control.sock'}"
    server.add_insecure_port(address)
    await server.start()
    async with control_channel(address) as channel:
        yield servicer, Worker(channel)
    await server.stop(None)


def snapshot(epoch: int, number: int, plan_id: str = "p") -> pb.WatchPlanResponse:
    return pb.WatchPlanResponse(epoch=epoch, number=number, plan_id=plan_id, config_json=CONFIG)
