"""A worker's end: follows the plan, pushes counters, settles outcomes. It carries no solver."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import structlog

from server.config.models import ModelConfig
from server.config.schema import Config
from server.control.large_config import read_config
from server.control.protocol import PROTOCOL
from server.routing.errors import ControlPlaneDown
from server.routing.places import in_places
from server.routing.selector import CellKey, KindKey, ModelShares, Probes, Shed, WeightTable
from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed
from turnout.v1 import control_pb2 as pb
from turnout.v1.routing_pb2 import Outcome, OutcomeResult

# A control plane that was killed is back in a second or so; asking more often than this is noise.
RETRY_FIRST_S = 0.05
RETRY_LAST_S = 1.0
# Both calls are answered in about a millisecond by a control plane that is well.
CALL_TIMEOUT_S = 5.0
# Settled in one go, for which the control plane does nothing else for 3 ms. At 4 KiB each, the most
# that workers send, they are 1 MiB: a quarter of what its listener takes.
SETTLED_AT_ONCE = 250

_SERVICE = pb.DESCRIPTOR.services_by_name["ControlService"].full_name
_WATCH, _WATCH_KEYS, _PUSH, _SETTLE = (
    f"/{_SERVICE}/{name}" for name in ("WatchPlan", "WatchKeys", "PushStats", "Settle")
)
# What a control plane that is being started again looks like; anything else will not heal.
_AWAY = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)

_Told = TypeVar("_Told")
_log = structlog.get_logger()


class Confirmed(NamedTuple):
    """When the plan in force was last confirmed."""

    plan_s: float  # when the window ended that it was last found for
    window_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in force from now on."""

    epoch: int
    number: int
    config: Config | None  # None: as before
    table: WeightTable | None  # None: the control plane has no plan yet, so keep the one in force


@asynccontextmanager
async def control_channel(address: str) -> AsyncIterator[Channel]:
    """A channel to the control plane, such as "unix:/run/turnout/control.sock"."""
    channel = Channel(address)
    try:
        yield channel
    finally:
        await channel.close()


class ControlClient:
    """One worker's connection to its control plane, which may go away and come back."""

    def __init__(self, channel: Channel, worker: str) -> None:
        self._channel = channel
        self._worker = worker
        self._is_refused = False
        self._has_keys = False
        self._newest = (0, 0)
        self.confirmed: Confirmed | None = None  # of the plan in force; None before the first
        self._models: tuple[ModelConfig, ...] = ()  # by place, with those that left
        self._index: dict[str, int] = {}  # of those in the configuration in force

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """Whole snapshots, each newer than the last; goes on when the other side comes back."""
        async with aclosing(_again(self._watch, _tell_loss)) as snapshots:
            async for snapshot in snapshots:
                yield snapshot

    async def key_sets(self) -> AsyncGenerator[pb.WatchKeysResponse, None]:
        """The keys in force, then those after each change; goes on as snapshots do."""
        async with aclosing(_again(self._watch_keys, self._tell_loss_at_first)) as key_sets:
            async for keys in key_sets:
                self._has_keys = True
                yield keys

    async def push(self, request: pb.PushStatsRequest) -> None:
        """Sends counters; returns once they are counted, raises ControlPlaneDown otherwise."""
        request.protocol = PROTOCOL
        request.worker = self._worker
        await self._call(_PUSH, request.SerializeToString())

    async def settle(self, outcomes: Sequence[Outcome]) -> Sequence[OutcomeResult]:
        """One result for each outcome, in order.

        Raises ControlPlaneDown where some were not counted: told again, none is counted twice.
        """
        results: list[OutcomeResult] = []
        for begin in range(0, len(outcomes), SETTLED_AT_ONCE):
            piece = outcomes[begin : begin + SETTLED_AT_ONCE]
            request = pb.SettleRequest(protocol=PROTOCOL, outcomes=piece)
            answer = await self._call(_SETTLE, request.SerializeToString())
            results += pb.SettleResponse.FromString(answer).results
        return results

    async def _watch(self) -> AsyncGenerator[Snapshot, None]:
        assembly = Assembly()
        request = pb.WatchPlanRequest(protocol=PROTOCOL, worker=self._worker)
        async with self._channel.stream(_WATCH, timeout_s=None) as call:
            await call.send(request.SerializeToString())
            call.half_close()
            async for message in call:
                await asyncio.sleep(0)  # many parts come in one read: each has a turn of its own
                part = pb.WatchPlanResponse.FromString(message)
                if part.plan_id:
                    self.confirmed = Confirmed(part.plan_s, part.window_s)
                if part.confirms:
                    continue
                # Another epoch is another start of the one control plane there is; its clock may
                # have been set back.
                if part.epoch == self._newest[0] and part.number <= self._newest[1]:
                    continue
                await self._configure(part, assembly)
                assembly.add(part, self._index)
                # Collected part by part: to look at all that a plan is made of would hold the loop.
                gc.collect(0)
                if not part.more:
                    self._newest = part.epoch, part.number
                    yield assembly.snapshot(part)
                    assembly = Assembly()

    async def _watch_keys(self) -> AsyncGenerator[pb.WatchKeysResponse, None]:
        request = pb.WatchKeysRequest(protocol=PROTOCOL, worker=self._worker)
        async with self._channel.stream(_WATCH_KEYS, timeout_s=None) as call:
            await call.send(request.SerializeToString())
            call.half_close()
            async for message in call:
                yield pb.WatchKeysResponse.FromString(message)

    def _tell_loss_at_first(self, failure: CallFailed) -> None:
        """Plans are watched once keys have come; from then on that tells of the same loss."""
        if not self._has_keys:
            _tell_loss(failure)

    async def _call(self, path: str, request: bytes) -> bytes:
        """Answers one request; raises ControlPlaneDown."""
        try:
            answer = await self._channel.unary(path, request, timeout_s=CALL_TIMEOUT_S)
        except CallFailed as failure:
            self._tell_refusal(failure)
            raise ControlPlaneDown(
                f"the control plane does not answer ({failure.code.name}): try again in a second"
            ) from failure
        self._is_refused = False
        return bytes(answer)

    def _tell_refusal(self, failure: CallFailed) -> None:
        """Logs a refusal once, until a call is answered: a thousand may come in a second."""
        if failure.code not in _AWAY and not self._is_refused:
            self._is_refused = True
            _log.error("control plane refuses", status=failure.code.name, details=str(failure))

    async def _configure(self, part: pb.WatchPlanResponse, assembly: "Assembly") -> None:
        if part.config_json:
            config = await read_config(part.config_json)
            assembly.config = in_places(config, self._models)
            self._models = assembly.config.models
            names = {model.name for model in config.models}
            self._index = {m.name: i for i, m in enumerate(self._models) if m.name in names}


@dataclass(slots=True)
class Assembly:
    """Parts of one snapshot. Each is read as it comes, so that none holds the loop for long."""

    config: Config | None = None
    cells: dict[CellKey, ModelShares] = field(default_factory=dict)
    classes: dict[str, ModelShares] = field(default_factory=dict)
    shed: dict[CellKey, Shed] = field(default_factory=dict)
    kinds_shed: dict[KindKey, Shed] = field(default_factory=dict)
    probes: dict[CellKey, Probes] = field(default_factory=dict)
    output_tokens: dict[CellKey | str, dict[int, int]] = field(default_factory=dict)

    def add(self, part: pb.WatchPlanResponse, models: dict[str, int]) -> None:
        # A plan may be older than the configuration, which lacks some of its models.
        indexes = [models.get(name) for name in part.models]
        for entry in part.cells:
            cell = entry.cell
            name, payer, domain = cell.traffic_class, cell.payer, cell.domain
            key = name, payer, domain, cell.size_bucket, cell.payload_kind
            if shares := _model_shares(entry.shares, indexes):
                self.cells[key] = shares
                written = [(s.model, s.output_tokens) for s in entry.shares]
                self._expect(key, written, indexes)
            if entry.shed:
                self.shed[key] = entry.shed, entry.shed_why
            if tried := _model_shares(entry.probes, indexes):
                self.probes[key] = Probes(entry.probe_part, tried)
        for of_class in part.classes:
            name = of_class.traffic_class
            if shares := _model_shares(of_class.shares, indexes):
                self.classes[name] = shares
            self._expect(name, enumerate(of_class.output_tokens), indexes)
            for of_kind in of_class.shed_kinds:
                self.kinds_shed[name, of_kind.payload_kind] = of_kind.shed, of_kind.shed_why

    def _expect(
        self,
        key: CellKey | str,
        written: Iterable[tuple[int, int]],
        indexes: Sequence[int | None],
    ) -> None:
        expected = {
            index: tokens
            for model, tokens in written
            if tokens and (index := indexes[model]) is not None
        }
        if expected:
            self.output_tokens[key] = expected

    def snapshot(self, last: pb.WatchPlanResponse) -> Snapshot:
        table = None
        if last.plan_id:
            shed = self.shed, self.kinds_shed
            table = WeightTable(
                last.plan_id, self.cells, self.classes, *shed, self.probes, self.output_tokens
            )
        return Snapshot(last.epoch, last.number, self.config, table)


def _model_shares(shares: Sequence[pb.ModelShare], indexes: Sequence[int | None]) -> ModelShares:
    """The shares of models that are known; whoever picks reckons with the sum of these."""
    placed = [(indexes[s.model], s.share, s.cost_nano_usd) for s in shares]
    return tuple([(index, share, cost) for index, share, cost in placed if index is not None])


async def _again(
    watch: Callable[[], AsyncGenerator[_Told, None]], on_lost: Callable[[CallFailed], None]
) -> AsyncGenerator[_Told, None]:
    """What is watched, and watched again whenever it ends; `on_lost` is told once each time."""
    wait_s = RETRY_FIRST_S
    while True:
        try:
            async with aclosing(watch()) as watched:
                async for told in watched:
                    wait_s = RETRY_FIRST_S
                    yield told
        except CallFailed as failure:
            if wait_s == RETRY_FIRST_S:
                on_lost(failure)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, RETRY_LAST_S)


def _tell_loss(failure: CallFailed) -> None:
    _log.warning("control plane lost", status=failure.code.name)
