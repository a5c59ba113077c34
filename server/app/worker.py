"""The worker process: answers callers by the plan that the control plane sends."""

import asyncio
import gc
import os
import random
import secrets
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from typing import Any

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2_grpc

from server.app.chat_queue import ChatQueue
from server.app.data_listener import data_listener
from server.app.large_chats import LargeChats
from server.app.learned import Learned
from server.app.memory import map_large_buffers
from server.app.plan_age import PlanAge
from server.app.reader_process import ReaderProcess
from server.app.readiness import tell_readiness
from server.app.settings import Settings, clock, read_settings, stop_event, tell_ready
from server.app.stats import Pushes, push_request, tell_transport
from server.control.client import ControlClient, Snapshot, control_channel
from server.control.kept_file import FileRefused
from server.control.key_file import read_key
from server.dispatch import Dispatcher
from server.routing.counters import Counters
from server.routing.errors import ControlPlaneDown
from server.routing.readiness import Readiness
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.routing.slices import Slices
from server.routing.tokens import Sealer
from server.rpc.errors import ErrorAnswering
from server.rpc.health import HEALTH, OIP, ROUTING, HealthServicer
from server.rpc.oip import OipServicer
from server.rpc.reflection import REFLECTION, add_reflection
from server.rpc.routing import RoutingServicer
from server.telemetry.logs import configure_logs
from server.telemetry.loop_errors import log_loop_errors
from server.telemetry.traced_dispatch import TracedDispatcher, Tracing
from server.telemetry.tracing import sampling_ratio, tracer
from server.transport.serving.server import Server
from server.upstream.oip import OipUpstream
from server.upstream.probes import Prober
from server.version import VERSION
from server.wire import oip_pb2_grpc
from turnout.v1 import routing_pb2_grpc
from turnout.v1.control_pb2 import PushStatsRequest

# The control plane hears of an ejection, and the demo's screen of a request, within this.
PUSH_S = 0.25
# Of one push: about 5 ms of the loop, after an outage that touched them all.
PUSHED_CELLS_MAX = 200
# Of a plan that was replaced, at one go: a tenth of a millisecond.
CELLS_LET_GO = 500

_SERVICES = (ROUTING, OIP, HEALTH, REFLECTION)
# Calls that are out have some 50 objects each, which are gone when they end: of less than a hundred
# calls the collector need not look at any. Where many objects come to stay, as those of a plan do,
# whoever makes them has the collector look at few at a time.
YOUNG_OBJECTS = 5_000
# What stays twice is looked at with the young ones once more, and then with all. Of streams that
# come by the thousand and stay, ten times as many at once, as by default, are 20 ms; all are looked
# at as seldom as by default.
_MIDDLE_ROUNDS, _OLD_ROUNDS = 2, 40
_log = structlog.get_logger()


class Worker:
    """Follows the plan and tells what it did, beside the calls that it serves."""

    def __init__(
        self,
        router: Router,
        counters: Counters,
        upstream: OipUpstream,
        transport: Server | None,
        *,
        now_s: Callable[[], float],
    ) -> None:
        """`transport` is None where grpcio serves."""
        self.ready = asyncio.Event()  # a configuration is in force
        self._router = router
        self._counters = counters
        self._upstream = upstream
        self._transport = transport
        self._now_s = now_s
        self._plan_age = PlanAge()
        self._learned = Learned()
        self.data_address = ""  # known once it is bound
        self._pushes = Pushes(secrets.token_hex(8))

    async def follow(self, control: ControlClient) -> None:
        """Puts every snapshot in force; never ends."""
        async with aclosing(control.snapshots()) as snapshots:
            async for snapshot in snapshots:
                await self._follow(snapshot)

    async def tell(self, control: ControlClient) -> None:
        """Pushes counters again and again; never ends."""
        while True:
            await asyncio.sleep(PUSH_S)
            await self.push(control)

    async def announce(
        self,
        publish: Callable[[Readiness], None],
        on_ready: Callable[[str], None],
        now_s: Callable[[], float],
    ) -> None:
        """Says that it serves once it can, and from then on whom; never ends."""
        await self.ready.wait()
        publish(self._router.readiness(now_s()))
        on_ready(self.data_address)
        await tell_readiness(self._router, publish, now_s)

    async def push(self, control: ControlClient) -> None:
        """Pushes all that was touched; what is not answered goes with the next push."""
        more = True
        while more:
            more = await self._push_some(control)

    async def _push_some(self, control: ControlClient) -> bool:
        """Pushes once; true if it was answered and there is more."""
        touched = self._counters.take_touched(PUSHED_CELLS_MAX)
        more = len(touched) == PUSHED_CELLS_MAX
        request = push_request(
            self._counters,
            self._router,
            touched,
            data_address=self.data_address,
            **self._pushes.next(more=more),
        )
        tell_transport(request, self._transport, self._upstream.limits_reached())
        self._tell_plan(request, control)
        try:
            await control.push(request)
        except ControlPlaneDown:
            self._counters.touch_again(touched)
            return False
        except asyncio.CancelledError:
            self._counters.touch_again(touched)
            raise
        return more

    def _tell_plan(self, request: PushStatsRequest, control: ControlClient) -> None:
        """The log says when nobody stands by the plan any more, whatever the reason."""
        now_s = self._now_s()
        changed = self._plan_age.look(control.confirmed, now_s=now_s)
        age_s, plan_id = self._plan_age.age_s(now_s=now_s), self._router.table.plan_id
        if changed == "late":
            _log.warning("plan not confirmed", plan_id=plan_id, age_s=round(age_s or 0.0, 1))
        elif changed == "confirmed":
            _log.info("plan confirmed again", plan_id=plan_id)
        request.plan_id = plan_id
        if age_s is not None:
            request.plan_age_s = age_s

    async def _follow(self, snapshot: Snapshot) -> None:
        if self._pushes.follow(snapshot.epoch):
            self._counters.touch_all()
        replaced = self._router.table
        await self._put_in_force(snapshot)
        if replaced is not self._router.table:
            await _let_go(replaced)
        if not self.ready.is_set():
            # What is loaded by now stays: the collector need not look at it, 25 ms each time.
            gc.freeze()
            self.ready.set()

    async def _put_in_force(self, snapshot: Snapshot) -> None:
        if snapshot.config is not None:
            learned = await self._learned.of(snapshot.config)
            self._router.configure(snapshot.config, learned)
            self._upstream.track(
                address
                for model in self._router.models()
                if model.protocol == "oip"
                for address in model.endpoints
            )
        if snapshot.table is not None:
            self._router.publish(snapshot.table)


async def _let_go(table: WeightTable) -> None:
    """Takes apart a plan that nobody reads any more: to drop it whole would hold the loop."""
    for rows in (table.cells, table.shed):
        while rows:
            for _ in range(min(CELLS_LET_GO, len(rows))):
                rows.popitem()
            await asyncio.sleep(0)


async def serve(
    settings: Settings,
    *,
    now_s: Callable[[], float],
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Runs one worker until `stop`, then drains; `on_ready` is told the address it serves on."""
    counters = Counters()
    router = _router(settings, counters)
    listener = data_listener(settings)
    upstream = OipUpstream(held=None if listener.transport is None else listener.transport.held)
    dispatcher = _dispatcher(router, upstream, counters, now_s)
    me = Worker(router, counters, upstream, listener.transport, now_s=now_s)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(upstream.close)
        large_chats = LargeChats(ReaderProcess(), ChatQueue())
        stack.push_async_callback(large_chats.close)
        channel = await stack.enter_async_context(control_channel(settings.control_address))
        control = ControlClient(channel, settings.name)
        stack.push_async_callback(me.push, control)  # the last counters, once calls have ended
        server = listener.server
        answering = ErrorAnswering(server, counters.refused)
        answering.add(
            routing_pb2_grpc.add_RoutingServiceServicer_to_server,
            RoutingServicer(
                router,
                dispatcher,
                control.settle,
                large_chats.read,
                counters.refused,
                now_s=now_s,
                chance=random.random,
            ),
        )
        health_servicer = HealthServicer()
        answering.add(
            oip_pb2_grpc.add_GRPCInferenceServiceServicer_to_server,
            OipServicer(router, dispatcher, lambda: health_servicer.ready, version=VERSION),
        )
        _add_standard(server, health_servicer)
        me.data_address = await listener.start()
        stack.push_async_callback(listener.stop)
        stack.callback(health_servicer.drain)
        prober = Prober(router, upstream.is_ready, now_s=now_s, chance=random.random)
        told = me.announce(health_servicer.publish, on_ready, now_s)
        await _until(stop, me.follow(control), me.tell(control), prober.run(), told)


async def _until(stop: asyncio.Event, *work: Coroutine[Any, Any, None]) -> None:
    """Runs what never ends by itself; if one fails, so does the process, which is restarted."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        await stop.wait()
        for task in tasks:
            task.cancel()


def _router(settings: Settings, counters: Counters) -> Router:
    sealer = Sealer(read_key(settings.key_path), boot=secrets.randbits(64))
    slices = Slices(settings.place, settings.workers)
    return Router(Selector(), sealer, counters, slices, chance=random.random)


def _add_standard(server: grpc.aio.Server, health_servicer: HealthServicer) -> None:
    """What each gRPC server has."""
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    add_reflection(server, _SERVICES)


def _dispatcher(
    router: Router, upstream: OipUpstream, counters: Counters, now_s: Callable[[], float]
) -> Dispatcher:
    """One that makes spans where OpenTelemetry's variables say where they go."""
    spans = tracer(os.environ)
    if spans is None:
        return Dispatcher(router, upstream.send, counters, now_s=now_s, chance=random.random)
    tracing = Tracing(spans, sampling_ratio(os.environ))
    return TracedDispatcher(
        router, upstream.send, counters, tracing, now_s=now_s, chance=random.random
    )


async def main() -> None:
    gc.set_threshold(YOUNG_OBJECTS, _MIDDLE_ROUNDS, _OLD_ROUNDS)
    map_large_buffers()
    settings = read_settings()
    configure_logs(settings.name)
    log_loop_errors(asyncio.get_running_loop())
    try:
        await serve(settings, now_s=clock(), stop=stop_event(), on_ready=tell_ready)
    except FileRefused as error:
        _log.error("cannot start", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    uvloop.run(main())
