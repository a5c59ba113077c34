"""The processes that serve: started, started again when they die or hang, stopped in order."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import structlog

from server.app.settings import DRAIN_S, RELOADED, Settings
from server.supervisor.acceptor import Acceptor
from server.supervisor.watchdog import hangs, state_of
from server.transport.sockets import hand_over

# A child that dies is started again after this long, then twice as long each time, up to the most.
RESTART_S, RESTART_S_MAX = 0.1, 5.0
# Having lived this long, it begins with the shortest wait again.
STEADY_S = 30.0
# What a start may take: imports, a bind, the first snapshot.
READY_S = 30.0
# Children drain for DRAIN_S and then need a moment; after that they are killed.
STOP_S = DRAIN_S + 5.0
# How often a child is asked to reload that dies each time: the file is what it dies of then, and
# what was in force before has to serve.
RELOADS_MAX = 3

_log = structlog.get_logger()


class StartError(Exception):
    """The service cannot start; the message says what to do."""


class Child:
    """One process of ours: a fresh interpreter, never a fork."""

    def __init__(
        self,
        module: str,
        settings: Settings,
        acceptors: Mapping[str, Acceptor] = MappingProxyType({}),
        prepare: Callable[[], None] | None = None,
        *,
        holds: Callable[[], tuple[int, ...]] = tuple,
        silent_s_max: float,
    ) -> None:
        """Acceptors hand it connections, once it is ready for them, each by a channel that the
        setting of its name tells.

        `prepare` is called before each start, in a thread; it may raise StartError. Descriptors
        that it `holds` stay open for as long as it lives. A child that has told nothing for
        `silent_s_max` hangs, and is killed.
        """
        self._module = module
        self.settings = settings
        self._acceptors = acceptors
        self._prepare = prepare
        self._holds = holds
        self._silent_s_max = silent_s_max
        self._watching: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._said_ready = False
        self.is_to_reload = False  # it was asked, and has not said that it is done
        self._asked = 0  # how often for the same reload

    @property
    def is_ready(self) -> bool:
        """It said so, and has not ended since."""
        return self._said_ready and self._process is not None and self._process.returncode is None

    async def start(self) -> str:
        """Returns where it listens once it is ready; raises StartError or OSError."""
        ours: dict[str, socket.socket] = {}
        descriptors: dict[str, int] = {}
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as failed:
            for setting in self._acceptors:
                ours[setting], end = hand_over.pair()
                failed.callback(ours[setting].close)
                descriptors[setting] = theirs.enter_context(end).fileno()
            settings = self.settings.model_copy(update=descriptors)
            address = await self._start(settings, tuple(descriptors.values()))
            failed.pop_all()
        for setting, acceptor in self._acceptors.items():
            acceptor.join(self.settings.name, ours[setting])
        return address

    def reload(self) -> None:
        """Has it read its configuration again: at once, or when it is ready for that.

        One that dies before it has done so does it when it is started again, unless it dies of that
        each time.
        """
        self.is_to_reload, self._asked = True, 0
        self._pass_on()

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

    async def _start(self, settings: Settings, descriptors: tuple[int, ...]) -> str:
        self._said_ready = False
        if self._prepare is not None:
            await asyncio.to_thread(self._prepare)
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            settings.model_dump_json(),
            stdin=asyncio.subprocess.PIPE,  # its end tells the child of ours
            stdout=asyncio.subprocess.PIPE,
            process_group=0,  # Ctrl-C is for us: we stop the children in order
            pass_fds=(*descriptors, *self._holds()),
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
            raise StartError(f"the {settings.name} did not start: its log says why")
        self._said_ready = True
        self._pass_on()
        self._watching = asyncio.create_task(self._watch(process, process.stdout))
        return line.decode().strip()

    def _hear(self, told: bytes) -> None:
        if RELOADED in told:
            self.is_to_reload = False

    def _pass_on(self) -> None:
        """One that is not ready would die of the signal."""
        if self.is_to_reload and self.is_ready and self._process is not None:
            if self._asked == RELOADS_MAX:
                self.is_to_reload = False
                _log.error("reload given up: the process died of it each time", times=RELOADS_MAX)
                return
            self._asked += 1
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def _watch(
        self, process: asyncio.subprocess.Process, beats: asyncio.StreamReader
    ) -> None:
        """Kills it if it hangs, while it drains too; whoever waits for its end does the rest."""
        silent = await hangs(beats, self._hear, silent_s_max=self._silent_s_max)
        if silent and process.returncode is None:  # a child of its own may have kept the pipe
            _log.error(
                "process hangs",
                name=self.settings.name,
                silent_s=self._silent_s_max,
                state=state_of(process.pid),
            )
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def start_all(children: list[Child]) -> list[str]:
    """Returns where each listens, or raises the first StartError."""
    cores = asyncio.Semaphore(os.cpu_count() or 1)  # more at once would only wait for each other

    async def start(child: Child) -> str:
        async with cores:
            return await child.start()

    started = await asyncio.gather(*map(start, children), return_exceptions=True)
    addresses = []
    for outcome in started:
        if isinstance(outcome, BaseException):
            raise outcome
        addresses.append(outcome)
    return addresses


async def keep(child: Child, stopping: asyncio.Event) -> None:
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
        except (StartError, OSError) as error:  # the second: no descriptor or process is left
            _log.error("restart failed", name=child.settings.name, error=str(error))
