"""The service that is soaked: `turnout serve`, and the endpoints of its models, on loopback."""

import contextlib
import json
import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.processes import Server, serving

# What a worker stays within: as little as may be configured, so that attacks reach it.
WORKER_MEMORY_MIB = 512
# Where attacks come from: peers are told apart by their addresses.
ATTACKERS = "127.0.0.2"
# What a request says that may go to a model whose endpoint breaks HTTP/2.
WILD = "wild"
# What well-behaved callers say, so that their decisions are counted apart.
KEPT, STRAY = "kept", "stray"
_READY_S = 30.0
_ASK_EVERY_S = 0.05

# Two models with a floor between them, so that the plan sends to both; a wild one, so dear that it
# is asked by its capability only, and a tame one for when it fails; and one for texts, dear
# as well, for any caller of Route may be sent there.
_CONFIG = """\
state_dir: STATE_DIR
worker_memory_mib: MEMORY
listeners: {data: "127.0.0.1:0", prometheus: "PROMETHEUS"}
models:
  - {name: small, protocol: oip, endpoints: [SMALL], price: {request_usd: 0.0001}, prior_accuracy: 0.85}
  - {name: large, protocol: oip, endpoints: [LARGE], price: {request_usd: 0.002}, prior_accuracy: 0.97}
  - {name: wild, protocol: oip, endpoints: [OVERRUNS], price: {request_usd: 0.003}, prior_accuracy: 0.97, capabilities: [wild]}
  - {name: tame, protocol: oip, endpoints: [LARGE], price: {request_usd: 0.02}, prior_accuracy: 0.97, capabilities: [wild]}
  - {name: chat, protocol: openai, endpoints: [], price: {request_usd: 0.01}, prior_accuracy: 0.97}
classes:
  - {name: kept, floor: 0.9}
  - {name: stray, floor: 0.9, default: true}
"""  # noqa: E501 - a model a line
_ENDPOINTS = {"SMALL": "turnout", "LARGE": "grpcio", "OVERRUNS": "overrunning"}


class Stage:
    """Where it listens, its processes, and what it says of itself."""

    def __init__(self, server: Server, prometheus: str) -> None:
        self._server = server
        self._prometheus = prometheus
        self.data = str(_wait_for(server, "serving")["data"])
        self.supervisor = psutil.Process(server.process.pid)
        children = {_name(child): child for child in self.supervisor.children()}
        self.workers = {name: child for name, child in children.items() if "worker" in name}
        self.processes = {"supervisor": self.supervisor, **children}

    @property
    def port(self) -> int:
        return int(self.data.rpartition(":")[2])

    def decided(self, traffic_class: str) -> int:
        """Decisions of a class, as the control plane exports them."""
        wanted = f'traffic_class="{traffic_class}"'
        counts = self._exported("turnout_decisions_total")
        return sum(count for labels, count in counts if wanted in labels)

    def limits_reached(self) -> Counter[str]:
        """How often each was, as the control plane exports it."""
        counts = self._exported("turnout_transport_limits_reached_total")
        return Counter({labels.split('"')[1]: count for labels, count in counts if count})

    def _exported(self, metric: str) -> Iterator[tuple[str, int]]:
        """Labels and counts."""
        with urllib.request.urlopen(f"http://{self._prometheus}/metrics", timeout=_READY_S) as page:
            lines = page.read().decode().splitlines()
        for line in lines:
            name, _, rest = line.partition("{")
            if name == metric:
                labels, _, count = rest.rpartition("} ")
                yield labels, round(float(count.split()[0]))

    def log(self) -> list[dict[str, Any]]:
        """Every line that is an entry."""
        return list(_entries(self._server))

    def unreadable(self) -> list[str]:
        """Lines of the log that are none: what a process says when it breaks."""
        lines = self._server.log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("{")]

    @property
    def status(self) -> int | None:
        """How it ended; None before."""
        return self._server.process.poll()


@contextmanager
def stage(folder: Path, *, workers: int) -> Iterator[Stage]:
    """Everything that runs; told to drain at the end."""
    with ExitStack() as stack:
        prometheus, file = _free_address(), folder / "turnout.yaml"
        text = _CONFIG.replace("STATE_DIR", str(folder / "state"))
        text = text.replace("PROMETHEUS", prometheus).replace("MEMORY", str(WORKER_MEMORY_MIB))
        for name, kind in _ENDPOINTS.items():
            endpoint = ("-m", "benchmarks.soak.endpoint", kind)
            made = stack.enter_context(serving(name.lower(), *endpoint, folder=folder))
            text = text.replace(name, json.dumps(made.line()))
        file.write_text(text)
        options = ("--workers", str(workers), "--transport", "turnout")
        command = ("-m", "server.cli", "serve", str(file), *options)
        with serving("turnout", *command, folder=folder) as server:
            yield Stage(server, prometheus)


def _wait_for(server: Server, event: str) -> dict[str, Any]:
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s and server.process.poll() is None:
        for entry in _entries(server):
            if entry["event"] == event:
                return entry
        time.sleep(_ASK_EVERY_S)
    raise server.failed(f"does not say {event!r}")


def _entries(server: Server) -> Iterator[dict[str, Any]]:
    for line in server.log.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def _name(child: psutil.Process) -> str:
    """As the supervisor tells it."""
    settings: dict[str, str] = json.loads(child.cmdline()[-1])
    return settings["name"]


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
