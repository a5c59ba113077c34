"""`turnout serve`: starts the control plane and workers, restarts what dies or hangs, drains."""

import asyncio
import contextlib
import errno
import os
import resource
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import structlog

from server.app.settings import Settings
from server.config.file import load
from server.config.listeners import ListenersConfig
from server.config.schema import Config
from server.config.state_dir import state_dir
from server.named_files.check import served_findings
from server.rpc.admin_secret_file import AdminSecretError, read_secret_hash
from server.supervisor.acceptor import Acceptor
from server.supervisor.access_log import access_log_at
from server.supervisor.child import Child, StartError, keep, start_all
from server.supervisor.folder_watch import FolderWatch
from server.supervisor.hang_up import HangUp
from server.supervisor.holders import holder_of_address
from server.supervisor.open_secrets import warn_of_open_secrets
from server.supervisor.state_folder import own
from server.supervisor.watchdog import CONTROL_SILENT_S, WORKER_SILENT_S
from server.telemetry.logs import configure_logs, log_loop_errors
from server.transport.sockets.listen import Listener, ListenError, listen

Transport = Literal["turnout", "grpcio"]

_REMEDIES: Mapping[int | None, str] = {
    errno.EADDRINUSE: "stop what listens there",
    errno.ENOTSOCK: "remove it",
    errno.ENOENT: "make its folder",
    errno.EACCES: "serve as a user who may listen there",
}
_log = structlog.get_logger()


class _Requests(NamedTuple):
    """Where they come in, and who accepts connections there for the workers."""

    data: str
    openai: str | None
    acceptors: Mapping[str, Acceptor]  # by the setting that tells a worker its channel


def run(config_path: Path, *, workers: int, transport: Transport) -> int:
    """Serves by a configuration file until told to stop; returns the exit status.

    Raises ConfigError or StartError before anything is started.
    """
    configure_logs("supervisor")
    _refuse_workers(workers, transport)
    config = load(config_path, further_check=partial(served_findings, environ=os.environ))
    _raise_descriptor_limit()
    folder = state_dir(config, os.environ)
    # Absolute, but a link stays one: what it leads to may be replaced before it is read again.
    path = Path(os.path.abspath(config_path))
    return asyncio.run(supervise(config, path, folder, workers=workers, transport=transport))


async def supervise(
    config: Config, config_path: Path, folder: Path, *, workers: int, transport: Transport
) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status. Raises StartError."""
    log_loop_errors(asyncio.get_running_loop())
    admin = config.listeners.admin or f"unix:{folder}/admin.sock"
    with own(folder, config) as state:
        for address in filter(
            None, (f"unix:{folder}/control.sock", admin, config.listeners.prometheus)
        ):
            _refuse_taken(address)
        _refuse_bad_token(config.listeners.admin_token_file)
        warn_of_open_secrets(config.listeners)
        requests = _accept_requests(config.listeners, transport)
        state.begin()
        common = Settings(
            name="control plane",
            state_dir=folder,
            data_address=requests.data,
            openai_address=requests.openai,
            admin_address=admin,
            config_path=config_path,
            tls=config.listeners.tls,
            worker_memory_mib=config.worker_memory_mib,
            access_log=access_log_at(config.access_log),
            workers=workers,
        )
        control = Child(
            "server.app.control",
            common,
            prepare=state.prepare,
            holds=state.held,
            silent_s_max=CONTROL_SILENT_S,
        )
        named = (
            common.model_copy(update={"name": f"worker-{i}", "place": i}) for i in range(workers)
        )
        children = [
            Child(
                "server.app.worker",
                settings,
                requests.acceptors,
                silent_s_max=WORKER_SILENT_S,
            )
            for settings in named
        ]
        return await _serve(control, children, requests.acceptors, FolderWatch(state, control))


async def _serve(
    control: Child, workers: list[Child], acceptors: Mapping[str, Acceptor], watch: FolderWatch
) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_kill, stopping, (*workers, control))
    hang_up = HangUp(control.reload, stopping)
    loop.add_signal_handler(signal.SIGHUP, hang_up.heard)
    keepers: list[asyncio.Task[None]] = []
    try:
        admin_address = await control.start()
        if stopping.is_set():
            return 0
        data_address, *_ = await start_all(workers)
        for worker in workers:  # a free port that was found once is kept by those started again
            worker.settings = worker.settings.model_copy(update={"data_address": data_address})
        openai = workers[0].settings.openai_address
        _log.info(
            "serving",
            data=data_address,
            **({} if openai is None else {"openai": openai}),
            admin=admin_address,
            workers=len(workers),
        )
        keepers = [asyncio.create_task(keep(child, stopping)) for child in (control, *workers)]
        keepers.append(asyncio.create_task(watch.run(stopping)))
        await stopping.wait()
        _log.info("draining")
    finally:
        stopping.set()
        for acceptor in acceptors.values():
            acceptor.stop()
        # Workers first, for their last counters go to the control plane.
        await asyncio.gather(*(worker.stop() for worker in workers))
        await control.stop()
        await asyncio.gather(*keepers)
        for acceptor in acceptors.values():
            acceptor.close()
    return 0


def _stop_or_kill(stopping: asyncio.Event, children: tuple[Child, ...]) -> None:
    """The first signal drains, the second does not wait."""
    if stopping.is_set():
        for child in children:
            child.kill()
    stopping.set()


def _refuse_workers(workers: int, transport: Transport) -> None:
    if workers > 1 and transport == "grpcio":
        raise StartError(
            f"--workers {workers} needs --transport turnout: grpcio listens by itself, "
            "so one worker is all there can be"
        )


def _raise_descriptor_limit() -> None:
    """Each connection takes one, and many systems begin with 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _refuse_bad_token(path: str | None) -> None:
    if path is None:
        return
    try:
        read_secret_hash(path)
    except AdminSecretError as error:
        raise StartError(str(error)) from None


def _accept_requests(listeners: ListenersConfig, transport: Transport) -> _Requests:
    """grpcio listens by itself; raises StartError."""
    acceptors, data, openai = {}, listeners.data, listeners.openai
    if transport == "turnout":
        listener = _listen(data)
        acceptors["connections_fd"], data = Acceptor(listener), listener.address
    else:
        _refuse_taken(data)
    if openai is not None:
        listener = _listen(openai)
        acceptors["door_fd"], openai = Acceptor(listener), listener.address
    return _Requests(data, openai, acceptors)


def _listen(address: str) -> Listener:
    try:
        return listen(address)
    except ListenError as error:
        raise StartError(f"{error}{_remedy(address, error)}") from None


def _remedy(address: str, error: ListenError) -> str:
    """Who holds it, if that is known, and what to do."""
    holder = holder_of_address(address) if error.errno == errno.EADDRINUSE else ""
    by = f" by {holder}" if holder else ""
    do = "stop it" if holder else _REMEDIES.get(error.errno, "see why")
    return f"{by}: {do}, or name another address under listeners"


def _refuse_taken(address: str) -> None:
    """Finds out now, in words, what a child would only stumble over; raises StartError."""
    _listen(address).close()
