"""`turnout serve`: starts the control plane and a worker, restarts what dies, drains on SIGTERM."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from server.app.settings import DRAIN_S, Settings
from server.config import Config, to_json
from server.config.file import load
from server.config.state_dir import state_dir
from server.control.kept_file import write_whole
from server.routing.tokens import KEY_BYTES
from server.rpc.token import TokenError, read_token
from server.telemetry.logs import configure_logs

# A child that dies is started again after this long, then twice as long each time, up to the most.
RESTART_S, RESTART_S_MAX = 0.1, 5.0
# Having lived this long, it begins with the shortest wait again.
STEADY_S = 30.0
# What a start may take: imports, a bind, the first snapshot.
READY_S = 30.0
# Children drain for DRAIN_S and then need a moment; after that they are killed.
STOP_S = DRAIN_S + 5.0

_log = structlog.get_logger()


class StartError(Exception):
    """The service cannot start; the message says what to do."""


class _Child:
    """One process of ours: a fresh interpreter, never a fork."""

    def __init__(self, module: str, settings: Settings) -> None:
        self._module = module
        self.settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Returns where it listens once it is ready; raises StartError."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            self.settings.model_dump_json(),
            stdin=asyncio.subprocess.PIPE,  # its end tells the child of ours
            stdout=asyncio.subprocess.PIPE,
            process_group=0,  # Ctrl-C is for us: we stop the children in order
        )
        if process.stdout is None:
            raise StartError("no pipe")
        try:
            async with asyncio.timeout(READY_S):
                line = await process.stdout.readline()
        except TimeoutError:
            process.kill()
            line = b""
        if not line:
            await process.wait()
            raise StartError(f"the {self.settings.name} did not start: its log says why")
        return line.decode().strip()

    async def ended(self) -> int:
        """Waits for its end; returns the exit status."""
        return 0 if self._process is None else await self._process.wait()

    async def stop(self) -> None:
        """Drains it, and kills it if that takes too long."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def run(config_path: Path) -> int:
    """Serves by a configuration file until told to stop; returns the exit status.

    Raises ConfigError or StartError before anything is started.
    """
    configure_logs("supervisor")
    config = load(config_path)
    return asyncio.run(supervise(config, state_dir(config, os.environ)))


async def supervise(config: Config, folder: Path) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status. Raises StartError."""
    data, admin = config.listeners.data, config.listeners.admin or f"unix:{folder}/admin.sock"
    with _own(folder, config):
        for address in filter(None, (data, admin, config.listeners.prometheus)):
            _refuse_taken(address)
        _refuse_bad_token(config.listeners.admin_token_file)
        common = Settings(
            name="control plane",
            state_dir=folder,
            data_address=data,
            admin_address=admin,
        )
        control = _Child("server.app.control", common)
        worker = _Child("server.app.worker", common.model_copy(update={"name": "worker"}))
        return await _serve(control, worker)


async def _serve(control: _Child, worker: _Child) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_kill, stopping, (worker, control))
    keepers: list[asyncio.Task[None]] = []
    try:
        admin_address = await control.start()
        if stopping.is_set():
            return 0
        data_address = await worker.start()
        # A free port that was found once is kept when the worker is started again.
        worker.settings = worker.settings.model_copy(update={"data_address": data_address})
        _log.info("serving", data=data_address, admin=admin_address)
        keepers = [asyncio.create_task(_keep(child, stopping)) for child in (control, worker)]
        await stopping.wait()
        _log.info("draining")
    finally:
        stopping.set()
        await worker.stop()  # first, for its last counters go to the control plane
        await control.stop()
        await asyncio.gather(*keepers)
    return 0


def _stop_or_kill(stopping: asyncio.Event, children: tuple[_Child, ...]) -> None:
    """The first signal drains, the second does not wait."""
    if stopping.is_set():
        for child in children:
            child.kill()
    stopping.set()


async def _keep(child: _Child, stopping: asyncio.Event) -> None:
    """Starts a child again whenever it dies."""
    loop = asyncio.get_running_loop()
    wait_s, started_s = RESTART_S, loop.time()
    while True:
        status = await child.ended()
        if stopping.is_set():
            return
        if loop.time() - started_s > STEADY_S:
            wait_s = RESTART_S
        _log.error("process died", name=child.settings.name, status=status, restart_in_s=wait_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), wait_s)
        if stopping.is_set():
            return
        wait_s, started_s = min(2 * wait_s, RESTART_S_MAX), loop.time()
        try:
            await child.start()
            if stopping.is_set():  # it was told to stop while it was not there to hear it
                await child.stop()
        except StartError as error:
            _log.error("restart failed", name=child.settings.name, error=str(error))


@contextlib.contextmanager
def _own(folder: Path, config: Config) -> Iterator[None]:
    """Holds the state folder for this instance alone, with what its children read from it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"another Turnout runs from the state folder {folder}: stop it, "
                "or give this one a state_dir of its own"
            ) from None
        _make_key(folder / "decision.key")
        write_whole(folder / "live.json", to_json(config))
        yield


def _make_key(path: Path) -> None:
    """Made once: decision ids stay good over restarts of the service."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))


def _refuse_bad_token(path: str | None) -> None:
    if path is None:
        return
    try:
        read_token(path)
    except TokenError as error:
        raise StartError(str(error)) from None


def _refuse_taken(address: str) -> None:
    """Finds out now, in words, what a child would only stumble over; raises StartError."""
    if address.startswith("unix:"):
        return
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(f"{address}: {error.strerror}") from None
    family, kind, _, _, where = found[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            raise StartError(
                f"{address}: {os.strerror(error.errno or 0).lower()}: stop what listens there, "
                "or name another address under listeners"
            ) from None
