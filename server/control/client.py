"""A worker's end: follows the plan, pushes counters, settles outcomes. It carries no solver."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from grpc.aio import AioRpcError

from server.config import Config, from_json
from server.control.protocol import PROTOCOL
from server.routing.errors import ControlPlaneDown
from server.routing.selector import CellKey, Row, WeightTable
from turnout.v1 import control_pb2 as pb
from turnout.v1.control_pb2_grpc import ControlServiceStub
from turnout.v1.routing_pb2 import Outcome, OutcomeResult

# A control plane that was killed is back in a second or so; asking more often than this is noise.
RETRY_FIRST_S = 0.05
RETRY_LAST_S = 1.0
# Both calls are answered in about a millisecond by a control plane that is well.
CALL_TIMEOUT_S = 5.0

_CHANNEL_OPTIONS = (
    # gRPC's own waits between connections grow to two minutes; the least is also what a connection
    # may take to come about.
    ("grpc.initial_reconnect_backoff_ms", round(RETRY_FIRST_S * 1_000)),
    ("grpc.min_reconnect_backoff_ms", round(RETRY_LAST_S * 1_000)),
    ("grpc.max_reconnect_backoff_ms", round(RETRY_LAST_S * 1_000)),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)

# What a control plane that is being started again looks like; anything else will not heal.
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in force from now on."""

    epoch: int
    number: int
    config: Config | None  # None: as before
    table: WeightTable | None  # None: the control plane has no plan yet, so keep the one in force


def control_channel(address: str) -> grpc.aio.Channel:
    """A channel to the control plane, such as "unix:/run/turnout/control.sock"."""
    return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)


class ControlClient:
    """One worker's connection to its control plane, which may go away and come back."""

    def __init__(self, channel: grpc.aio.Channel, worker: str) -> None:
        self._stub = ControlServiceStub(channel)
        self._worker = worker
        self._newest = (0, 0)
        self._models: dict[str, int] = {}  # index of each in the configuration in force

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Whole snapshots, each newer than the last; goes on when the other side comes back."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                async for snapshot in self._watch():
                    wait_s = RETRY_FIRST_S
                    yield snapshot
            except AioRpcError as error:
                if wait_s == RETRY_FIRST_S:  # once for each time it goes
                    _log.warning("control plane lost", status=error.code().name)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_LAST_S)

    async def push(self, request: pb.PushStatsRequest) -> None:
        """Sends counters; returns once they are counted, raises ControlPlaneDown otherwise."""
        request.protocol = PROTOCOL
        request.worker = self._worker
        try:
            await self._stub.PushStats(request, timeout=CALL_TIMEOUT_S)
        except AioRpcError as error:
            raise _down(error) from error

    async def settle(self, outcomes: Sequence[Outcome]) -> Sequence[OutcomeResult]:
        """One result for each outcome, in order; raises ControlPlaneDown if none was counted."""
        request = pb.SettleRequest(protocol=PROTOCOL, outcomes=outcomes)
        try:
            response = await self._stub.Settle(request, timeout=CALL_TIMEOUT_S)
        except AioRpcError as error:
            raise _down(error) from error
        return response.results

    async def _watch(self) -> AsyncIterator[Snapshot]:
        assembly = _Assembly()
        call = self._stub.WatchPlan(pb.WatchPlanRequest(protocol=PROTOCOL, worker=self._worker))
        try:
            async for part in call:
                # Another epoch is another start of the one control plane there is; its clock may
                # have been set back.
                if part.epoch == self._newest[0] and part.number <= self._newest[1]:
                    continue
                self._configure(part, assembly)
                assembly.add(part, self._models)
                if not part.more:
                    self._newest = part.epoch, part.number
                    yield assembly.snapshot(part)
                    assembly = _Assembly()
        finally:
            call.cancel()

    def _configure(self, part: pb.WatchPlanResponse, assembly: "_Assembly") -> None:
        if part.config_json:
            assembly.config = from_json(part.config_json)
            self._models = {m.name: i for i, m in enumerate(assembly.config.models)}


@dataclass(slots=True)
class _Assembly:
    """Parts of one snapshot. Each is read as it comes, so that none holds the loop for long."""

    config: Config | None = None
    cells: dict[CellKey, Row] = field(default_factory=dict)
    classes: dict[str, Row] = field(default_factory=dict)

    def add(self, part: pb.WatchPlanResponse, models: dict[str, int]) -> None:
        indexes = [models[name] for name in part.models]
        for entry in part.cells:
            cell = entry.cell
            key = cell.traffic_class, cell.payer, cell.domain, cell.size_bucket
            self.cells[key] = _row(entry.shares, indexes)
        for of_class in part.classes:
            self.classes[of_class.traffic_class] = _row(of_class.shares, indexes)

    def snapshot(self, last: pb.WatchPlanResponse) -> Snapshot:
        table = WeightTable(last.plan_id, self.cells, self.classes) if last.plan_id else None
        return Snapshot(last.epoch, last.number, self.config, table)


def _row(shares: Sequence[pb.ModelShare], indexes: Sequence[int]) -> Row:
    return tuple([(indexes[s.model], s.share, s.cost_nano_usd) for s in shares])


def _down(error: AioRpcError) -> ControlPlaneDown:
    if error.code() not in _AWAY:
        _log.error("control plane refuses", status=error.code().name, details=error.details())
    return ControlPlaneDown(
        f"the control plane does not answer ({error.code().name}): try again in a second"
    )
