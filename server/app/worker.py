"""The worker process: what it is made of, in the order in which it starts."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2_grpc

from server.app.access import Access
from server.app.chat_queue import ChatQueue
from server.app.data_listener import DataListener, data_listener
from server.app.follower import Follower
from server.app.key_follower import KeyFollower
from server.app.large_chats import LargeChats
from server.app.memory import map_large_buffers
from server.app.pusher import Pusher
from server.app.reader_process import ReaderProcess
from server.app.readiness import announce
from server.app.settings import BindError, Settings, clock, read_settings, stop_event, tell_ready
from server.control.client import ControlClient, control_channel
from server.control.kept_file import FileRefused
from server.control.key_file import read_key
from server.dispatch.dispatcher import Dispatcher
from server.routing.callers import Callers
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.router import Router
from server.routing.selector import Selector
from server.routing.slices import Slices
from server.rpc.errors import ErrorAnswering
from server.rpc.health import HEALTH, OIP, ROUTING, HealthServicer
from server.rpc.oip import OipServicer
from server.rpc.reflection import add_reflection
from server.rpc.routing import RoutingServicer
from server.telemetry.endpoints import spans_are_exported
from server.telemetry.logs import configure_logs, log_loop_errors
from server.transport.held_bytes import HeldBytes
from server.upstream.probes import Prober
from server.upstream.upstreams import Upstreams
from server.version import VERSION
from server.wire import oip_pb2_grpc
from turnout.v1 import routing_pb2_grpc

if TYPE_CHECKING:
    from server.app.door_listener import DoorListener

_SERVICES = (ROUTING, OIP, HEALTH)
# Calls that are out have some 50 objects each, which are gone when they end: of less than a hundred
# calls the collector need not look at any. Where many objects come to stay, as those of a plan do,
# whoever makes them has the collector look at few at a time.
YOUNG_OBJECTS = 5_000
# What stays twice is looked at with the young ones once more, and then with all. Of streams that
# come by the thousand and stay, ten times as many at once, as by default, are 20 ms; all are looked
# at as seldom as by default.
_MIDDLE_ROUNDS, _OLD_ROUNDS = 2, 40
# A large configuration is compiled in a thread, for which the loop then waits so long each time: a
# fifth of what is usual.
_SWITCH_S = 0.001
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What requests are answered with, whichever way they come."""

    router: Router
    dispatcher: Dispatcher
    large_chats: LargeChats
    access: Access
    now_s: Callable[[], float]

    def routing(self, control: ControlClient) -> RoutingServicer:
        """Answers by gRPC."""
        servicer = RoutingServicer(
            self.router,
            self.dispatcher,
            control.settle,
            self.large_chats.read,
            self.access.count_refusal,
            now_s=self.now_s,
            chance=random.random,
        )
        self.access.listen_to_servicer(servicer)
        return servicer

    def answer_grpc(self, server: grpc.aio.Server, control: ControlClient) -> HealthServicer:
        """Adds all services; the last is told who can be answered."""
        health_servicer = HealthServicer()
        answering = ErrorAnswering(server, self.access.count_refusal)
        answering.add(routing_pb2_grpc.add_RoutingServiceServicer_to_server, self.routing(control))
        answering.add(
            oip_pb2_grpc.add_GRPCInferenceServiceServicer_to_server,
            OipServicer(
                self.router,
                self.dispatcher,
                lambda: health_servicer.ready,
                now_s=self.now_s,
                version=VERSION,
            ),
        )
        _add_standard(server, health_servicer)
        return health_servicer

    def door(self, settings: Settings, held: HeldBytes | None) -> DoorListener | None:
        """None where the configuration names no address for it."""
        if settings.door_fd is None:
            return None
        # aiohttp is 11 MB: for workers that have a door.
        from server.app.door_listener import DoorListener, answer_of

        answer = answer_of(
            self.router,
            self.dispatcher,
            self.large_chats,
            self.access.count_refusal,
            self.now_s,
        )
        return DoorListener(settings, settings.door_fd, answer, held)


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
    upstreams = Upstreams(os.environ, now_s=now_s, held=_held(listener))
    dispatcher = _dispatcher(router, upstreams, counters, now_s)
    access = Access(settings, counters, now_s)
    access.listen_to(dispatcher)
    pusher = Pusher(router, counters, listener.transport, upstreams.limits_reached, now_s=now_s)
    follower = Follower(router, upstreams.track, pusher.follow, pusher.configured)
    keys = KeyFollower(router.callers, pusher.keys_in_force)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(upstreams.close)
        large_chats = LargeChats(ReaderProcess(), ChatQueue())
        stack.push_async_callback(large_chats.close)
        channel = await stack.enter_async_context(control_channel(settings.control_address))
        control = ControlClient(channel, settings.name)
        stack.push_async_callback(pusher.push, control)  # the last counters, once calls have ended
        stack.push_async_callback(access.close)
        parts = _Parts(router, dispatcher, large_chats, access, now_s)
        health_servicer = parts.answer_grpc(listener.server, control)
        door = parts.door(settings, _held(listener))
        pusher.data_address = address = await listener.start()
        stack.push_async_callback(_stop_together, listener, door)
        if door is not None:
            pusher.door = door.start()
        stack.callback(health_servicer.drain)
        prober = Prober(router, upstreams.is_ready, now_s=now_s, chance=random.random)
        await _until(
            stop,
            keys.run(control),
            keys.before(lambda: follower.run(control)),
            pusher.run(control),
            prober.run(),
            access.run(),
            announce(
                follower.ready, router, health_servicer.publish, lambda: on_ready(address), now_s
            ),
        )


def _held(listener: DataListener) -> HeldBytes | None:
    return None if listener.transport is None else listener.transport.held


async def _stop_together(listener: DataListener, door: DoorListener | None) -> None:
    """Sees the calls of both through: each may take as long as a process has for it."""
    if door is None:  # a task of its own would be counted among those that calls left behind
        await listener.stop()
    else:
        await asyncio.gather(listener.stop(), door.stop())


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
    callers = Callers(workers=settings.workers)
    return Router(Selector(), sealer, counters, slices, callers, chance=random.random)


def _add_standard(server: grpc.aio.Server, health_servicer: HealthServicer) -> None:
    """What each gRPC server has."""
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    add_reflection(server, _SERVICES)


def _dispatcher(
    router: Router, upstreams: Upstreams, counters: Counters, now_s: Callable[[], float]
) -> Dispatcher:
    """One that makes spans where OpenTelemetry's variables say where they go."""
    if not spans_are_exported(os.environ):
        return Dispatcher(router, upstreams.exchanges, counters, now_s=now_s, chance=random.random)
    # OpenTelemetry is 3 MB: for workers that make spans.
    from server.telemetry.messages import wants_content
    from server.telemetry.traced_dispatch import TracedDispatcher, Tracing
    from server.telemetry.tracing import sampling_ratio, tracer

    ratio, content = sampling_ratio(os.environ), wants_content(os.environ)
    tracing = Tracing(tracer(), ratio, content)
    return TracedDispatcher(
        router, upstreams.exchanges, counters, tracing, now_s=now_s, chance=random.random
    )


async def main() -> None:
    # It is for the supervisor, yet whoever sends it to a service may send it to all its processes.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(YOUNG_OBJECTS, _MIDDLE_ROUNDS, _OLD_ROUNDS)
    map_large_buffers()
    settings = read_settings()
    configure_logs(settings.name)
    log_loop_errors(asyncio.get_running_loop())
    try:
        await serve(settings, now_s=clock(), stop=stop_event(), on_ready=tell_ready)
    except (FileRefused, BindError) as error:
        _log.error("cannot start", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    uvloop.run(main())
