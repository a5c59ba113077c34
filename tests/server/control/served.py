"""A real control plane on a Unix socket, and a worker that talks to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from optimizer.step_prices import StepPrice
from server.config.schema import Config
from server.control.client import ControlClient, Snapshot, control_channel
from server.control.corridor import Solver, solve_window
from server.control.explainer import Pricer
from server.control.kept_files import KeptFiles
from server.control.plane import ControlPlane
from server.control.reload import Reloads
from server.control.window import Window
from server.rpc.admin import AdminServicer
from server.rpc.control import ControlServicer
from server.rpc.errors import ErrorAnswering
from server.transport.channel.channel import Channel
from tests.server.control.told import KEY
from turnout.v1 import control_pb2 as pb
from turnout.v1.admin_pb2 import GetPlanRequest, GetPlanResponse, Plan
from turnout.v1.admin_pb2_grpc import AdminServiceStub, add_AdminServiceServicer_to_server
from turnout.v1.control_pb2_grpc import add_ControlServiceServicer_to_server

if TYPE_CHECKING:
    from turnout.v1.admin_pb2_grpc import AdminServiceAsyncStub

# Far beyond what anything here takes: a test that hangs fails by itself.
PATIENCE_S = 20.0
DATA_ADDRESS = "127.0.0.1:7080"


@dataclass(frozen=True, slots=True)
class Served:
    """A control plane that is served, and channels to it."""

    plane: ControlPlane
    channel: Channel  # as workers have it
    stock_channel: grpc.aio.Channel  # as operators have it

    @property
    def admin(self) -> "AdminServiceAsyncStub":
        return AdminServiceStub(self.stock_channel)

    async def planned(self, holds: Callable[[Plan], bool]) -> Plan:
        """The first plan from now on of which this holds, as operators see it."""
        found = await self.answered(lambda found: found.HasField("plan") and holds(found.plan))
        return found.plan

    async def answered(self, holds: Callable[[GetPlanResponse], bool]) -> GetPlanResponse:
        """The first answer to GetPlan from now on of which this holds."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                response = await self.admin.GetPlan(GetPlanRequest())
                if holds(response):
                    return response
                await asyncio.sleep(0.01)


def no_prices(window: Window) -> Sequence[StepPrice]:
    """For tests that are not about prices."""
    return ()


def files_in(folder: Path) -> KeptFiles:
    return KeptFiles.in_folder(folder)


def control_plane(
    folder: Path,
    config: Config,
    *,
    solver: Solver = solve_window,
    pricer: Pricer = no_prices,
    clock: Callable[[], float] = time.time,
) -> ControlPlane:
    return ControlPlane(config, KEY, files_in(folder), clock=clock, solver=solver, pricer=pricer)


@asynccontextmanager
async def serving(plane: ControlPlane, folder: Path) -> AsyncIterator[Served]:
    """Serves the control plane, and lets it plan."""
    server = grpc.aio.server()
    answering = ErrorAnswering(server, plane.count_refusal)
    answering.add(add_ControlServiceServicer_to_server, ControlServicer(plane))
    answering.add(
        add_AdminServiceServicer_to_server,
        AdminServicer(plane, Reloads(plane), version="0.1.0"),
    )
    address = f"unix:{folder / 'control.sock'}"
    server.add_insecure_port(address)
    await server.start()
    running = asyncio.create_task(plane.run())
    try:
        async with (
            control_channel(address) as channel,
            grpc.aio.insecure_channel(address) as stock_channel,
        ):
            yield Served(plane, channel, stock_channel)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await server.stop(None)


class Worker:
    """Pushes what a test says and follows what is published."""

    def __init__(self, channel: Channel, name: str = "w0") -> None:
        self.client = ControlClient(channel, name)
        self._snapshots = self.client.snapshots()
        self._sequence = 0

    async def push(
        self,
        *cells: pb.CellStats,
        endpoints: Sequence[pb.EndpointStats] = (),
        config: Snapshot | None = None,
    ) -> None:
        """`config` is the snapshot whose configuration is in force here."""
        self._sequence += 1
        await self.client.push(
            pb.PushStatsRequest(
                boot="b0",
                sequence=self._sequence,
                cells=cells,
                endpoints=endpoints,
                data_address=DATA_ADDRESS,
                epoch=0 if config is None else config.epoch,
                config_number=0 if config is None else config.number,
            )
        )

    async def next(self) -> Snapshot:
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self._snapshots)

    async def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        """The first snapshot from now on of which this holds."""
        async with asyncio.timeout(PATIENCE_S):
            async for snapshot in self._snapshots:
                if holds(snapshot):
                    return snapshot
        raise AssertionError("the snapshots ended")
