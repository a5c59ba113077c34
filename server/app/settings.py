"""What the supervisor tells its children, and how they tell it that they are ready and run."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from server.config.listeners import TlsConfig

if TYPE_CHECKING:  # the supervisor, which needs none of it, does without its 25 MB
    import grpc

# Of live.json: no file of 4 MiB with all that it leaves unsaid comes near.
LIVE_BYTES_MAX = 64 * 2**20
# How long calls that are out may take once a process is told to stop.
DRAIN_S = 30.0
# After the supervisor's end: to drain, and a moment.
ORPHAN_S = int(DRAIN_S) + 5
# How often a process tells that its loop runs.
BEAT_S = 0.5
# Among the beats: the configuration was read again.
RELOADED = b"r"


class BindError(Exception):
    """An address that was free when the service started is not any more."""


class Settings(BaseModel, frozen=True):
    """Of one process; no secrets, for others can read a command line."""

    name: str
    state_dir: Path
    data_address: str
    admin_address: str
    config_path: Path | None = None  # of the file that the service was started with
    tls: TlsConfig | None = None  # of listeners on TCP
    worker_memory_mib: int = 1_536
    access_log: str | None = None  # a folder, or "stderr"; None: there is none
    # Of a worker: which of how many it is.
    place: int = 0
    workers: int = 1
    # Of the channel by which the supervisor hands connections over; None: a worker listens itself.
    connections_fd: int | None = None
    # The same for the door of OpenAI clients, and where it listens; None: there is none.
    door_fd: int | None = None
    openai_address: str | None = None

    @property
    def control_address(self) -> str:
        return f"unix:{self.state_dir / 'control.sock'}"

    @property
    def key_path(self) -> Path:
        """Of the key that decision ids are sealed with."""
        return self.state_dir / "decision.key"

    @property
    def live_config_path(self) -> Path:
        """Of the configuration in force: the file's at start, then with its live updates."""
        return self.state_dir / "live.json"


def read_settings() -> Settings:
    """Those that the supervisor started this process with."""
    return Settings.model_validate_json(sys.argv[1])


def tell_ready(address: str) -> None:
    """Tells the supervisor that this process serves, and where; then that its loop runs."""
    with contextlib.suppress(BrokenPipeError):  # it is gone by now: our stdin has ended too
        os.write(sys.stdout.fileno(), f"{address}\n".encode())
    os.set_blocking(sys.stdout.fileno(), False)
    _beat(asyncio.get_running_loop())


def tell_reloaded() -> None:
    """Tells the supervisor that what it asked for is done, whatever came of it."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), RELOADED)


def _beat(loop: asyncio.AbstractEventLoop) -> None:
    """Goes on as long as the loop does, through a drain too."""
    with contextlib.suppress(OSError):  # a supervisor that does not read, or is gone
        os.write(sys.stdout.fileno(), b".")
    loop.call_later(BEAT_S, _beat, loop)


def stop_event(*, orphan_s: int = ORPHAN_S) -> asyncio.Event:
    """Set by SIGTERM, SIGINT, or the end of the supervisor, whose end closes our stdin.

    After that it ends within `orphan_s`, whatever its loop does.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # In a thread: a loop that hangs would never hear of it.
    threading.Thread(target=_follow_supervisor, args=(loop, stop, orphan_s), daemon=True).start()
    return stop


def _follow_supervisor(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, orphan_s: int) -> None:
    """Drains when it is gone; what does not end by itself then, the kernel ends."""
    while os.read(0, 4_096):  # it says nothing
        pass
    signal.alarm(orphan_s)
    with contextlib.suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(stop.set)


def reload_event() -> asyncio.Event:
    """Set by SIGHUP: the supervisor was told that the configuration's file has changed."""
    wanted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wanted.set)
    return wanted


def clock() -> Callable[[], float]:
    """Seconds since 1970 that never jump: the wall clock once, then the monotonic one."""
    offset_s = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset_s


def bind(
    server: "grpc.aio.Server", address: str, credentials: "grpc.ServerCredentials | None" = None
) -> str:
    """Binds, and returns the address with the port that was free; raises BindError.

    A Unix socket is not encrypted: its permissions say who may connect.
    """
    is_path = address.startswith("unix:")
    try:
        if is_path or credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:  # of grpcio, which has told why on stderr
        raise BindError(f"{address} cannot be listened on") from None
    return address if is_path else f"{address.rpartition(':')[0]}:{port}"
