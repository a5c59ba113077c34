"""The control plane process: learns from the worker, plans, and answers operators."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from server.app.settings import (
    LIVE_BYTES_MAX,
    BindError,
    Settings,
    bind,
    clock,
    read_settings,
    reload_event,
    stop_event,
    tell_ready,
    tell_reloaded,
)
from server.app.tls import grpcio_credentials
from server.config.as_json import from_json
from server.config.diagnostics import ConfigError
from server.control.kept_file import FileRefused, read_own
from server.control.kept_files import KeptFiles
from server.control.key_file import read_key
from server.control.plane import ControlPlane
from server.control.reload import Reloads
from server.control.solver_process import SolverProcess
from server.rpc.admin import AdminServicer
from server.rpc.admin_secret import AdminSecretCheck
from server.rpc.admin_secret_file import read_secret_hash
from server.rpc.control import ControlServicer
from server.rpc.errors import ErrorAnswering
from server.rpc.reflection import add_reflection
from server.telemetry.logs import configure_logs, log_loop_errors
from server.telemetry.metrics import Metrics
from server.transport.sockets.address import parse_address
from server.version import VERSION
from turnout.v1 import admin_pb2, admin_pb2_grpc, control_pb2, control_pb2_grpc

# Of calls here none takes long, but for a worker's watch, which never ends by itself.
STOP_S = 1.0
# A second instance is told that the address is in use; grpc's default would share it.
_OPTIONS = (("grpc.so_reuseport", 0),)
# A classifier of 10 MB comes in one message.
_ADMIN_OPTIONS = (*_OPTIONS, ("grpc.max_receive_message_length", 11_000_000))
_ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
_CONTROL = control_pb2.DESCRIPTOR.services_by_name["ControlService"].full_name
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
# A step that plans runs in a thread beside the loop, which then waits so long for the interpreter:
# a fifth of what is usual.
_SWITCH_S = 0.001
# What is kept of 10,000 cells is hundreds of thousands of objects, and to look at all of them takes
# 0.1 s; hardly any are in cycles. So all are looked at once in some hours of a busy service.
_YOUNG_OBJECTS, _MIDDLE_ROUNDS, _OLD_ROUNDS = 5_000, 2, 50_000
_log = structlog.get_logger()


async def serve(
    settings: Settings,
    *,
    now_s: Callable[[], float],
    stop: asyncio.Event,
    reload: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Runs the control plane until `stop`; `on_ready` is told where operators reach it.

    Whenever `reload` is set, the file of the start is put in force as it is then.
    """
    config = from_json(read_own(settings.live_config_path, bytes_max=LIVE_BYTES_MAX))
    key = read_key(settings.key_path)
    files = KeptFiles.in_folder(settings.state_dir)
    # One each, for they work at the same time.
    planning, pricing = SolverProcess(), SolverProcess()
    plane = ControlPlane(
        config, key, files, clock=now_s, solver=planning.solve, pricer=pricing.prices
    )
    reloads = Reloads(plane, settings.config_path)
    listeners = config.listeners
    secret_file = listeners.admin_token_file
    prometheus = listeners.prometheus
    async with AsyncExitStack() as stack:
        stack.callback(planning.stop)
        stack.callback(pricing.stop)
        metrics = Metrics(
            os.environ, prometheus=None if prometheus is None else parse_address(prometheus)[:2]
        )
        stack.push_async_callback(asyncio.to_thread, metrics.close)
        checks = () if secret_file is None else (AdminSecretCheck(read_secret_hash(secret_file)),)
        admin = grpc.aio.server(options=_ADMIN_OPTIONS, interceptors=checks)
        control = grpc.aio.server(options=_OPTIONS)
        _add_services(admin, control, plane, reloads)
        # The secret says who operates: no certificate is asked for.
        credentials = grpcio_credentials(settings.tls, ask_callers=False)
        admin_address = bind(admin, settings.admin_address, credentials)
        bind(control, settings.control_address)
        # When nobody is answered any more: what was acknowledged is kept.
        stack.push_async_callback(plane.keep_files)
        for server in (admin, control):
            await server.start()
            stack.push_async_callback(server.stop, STOP_S)
        async with asyncio.TaskGroup() as group:  # if one fails, the process ends and is restarted
            tasks = [
                group.create_task(plane.run()),
                group.create_task(reloads.follow(reload, tell_reloaded)),
                group.create_task(metrics.follow(plane.values, plane.durations)),
            ]
            on_ready(admin_address)
            await stop.wait()
            for task in tasks:
                task.cancel()


def _add_services(
    admin: grpc.aio.Server, control: grpc.aio.Server, plane: ControlPlane, reloads: Reloads
) -> None:
    ErrorAnswering(admin, plane.count_refusal).add(
        admin_pb2_grpc.add_AdminServiceServicer_to_server,
        AdminServicer(plane, reloads, version=VERSION),
    )
    ErrorAnswering(control, plane.count_refusal).add(
        control_pb2_grpc.add_ControlServiceServicer_to_server, ControlServicer(plane)
    )
    for server, service in ((admin, _ADMIN), (control, _CONTROL)):
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
        add_reflection(server, (service, _HEALTH))


async def main() -> None:
    os.umask(0o077)  # sockets are for the owner
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_YOUNG_OBJECTS, _MIDDLE_ROUNDS, _OLD_ROUNDS)
    settings = read_settings()
    configure_logs(settings.name)
    log_loop_errors(asyncio.get_running_loop())
    try:
        await serve(
            settings,
            now_s=clock(),
            stop=stop_event(),
            reload=reload_event(),
            on_ready=tell_ready,
        )
    except (FileRefused, FileNotFoundError, ConfigError, BindError) as error:
        _log.error("cannot start", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    uvloop.run(main())
