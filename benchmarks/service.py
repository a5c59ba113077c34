"""A real `turnout serve`, what it is compared with, and the load that both are put under."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import grpc
import psutil

from benchmarks.harness import Claim, Row, alternate, judge
from benchmarks.load import Order, Toll
from benchmarks.processes import Server, answer, serving
from turnout.v1 import routing_pb2 as pb

# A start and a window, on a machine that has other things to do.
_READY_S = 30.0
_ASK_EVERY_S = 0.05
# A generator that sends later than this, or works harder, measures itself.
_LATE_US_MAX = 2_000.0
_GENERATOR_LOAD_MAX = 0.7

_METRICS: Mapping[str, Callable[[Toll], float]] = {
    "cpu": lambda toll: toll.cpu_us,
    "latency": lambda toll: toll.serial_us,
    "p50": lambda toll: toll.p50_us,
    "p99": lambda toll: toll.p99_us,
}

# Three models with a floor between them, so that the plan mixes; budgets are configured and every
# listener, counter and export is as it comes.
_CONFIG = """\
window_s: WINDOW_S
state_dir: STATE_DIR
listeners: {data: "127.0.0.1:0"}
models:
  - name: small
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.0001}
    prior_accuracy: 0.85
  - name: middle
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.0004}
    prior_accuracy: 0.92
  - name: large
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.002}
    prior_accuracy: 0.97
classes:
  - {name: bulk, match: {labels: {app: [bulk]}}, slo: {ms: 200, fraction: 0.95}, floor: 0.9}
  - {name: other, slo: {ms: 1000, fraction: 0.95}, default: true}
budgets:
  - {name: all, amount_usd: 10000, period: day}
"""


class Exchange(NamedTuple):
    """What is asked, and what the answer is."""

    method: str
    request: bytes
    response: type[pb.RouteResponse] | type[pb.InferResponse]


class Side(NamedTuple):
    """One of the two that are compared: where it listens, and whose CPU time counts."""

    address: str
    pid: int
    server: Server


def claims(name: str, subject: str, floor: str) -> tuple[Claim, ...]:
    """Twice the floor is what a servicer on grpc.aio can keep: the floor is grpc.aio itself."""
    return tuple(Claim(f"{name}.{metric}", subject, floor, ratio_max=2) for metric in _METRICS)


@contextmanager
def bare_server(folder: Path, name: str, *does: str) -> Iterator[Side]:
    """`does` is what benchmarks.floors.bare_server takes."""
    module = "benchmarks.floors.bare_server"
    with serving(name, "-m", module, *does, folder=folder) as server:
        yield Side(f"127.0.0.1:{server.line()}", server.process.pid, server)


@contextmanager
def turnout(folder: Path, endpoint: Side, *, window_s: float) -> Iterator[Side]:
    """`turnout serve` with models at this endpoint; the side is its worker."""
    file, state_dir = folder / "turnout.yaml", folder / "state"
    text = _CONFIG.replace("WINDOW_S", str(window_s)).replace("STATE_DIR", str(state_dir))
    file.write_text(text.replace("ENDPOINT", json.dumps(endpoint.address)))
    with serving("turnout", "-m", "server.cli", "serve", str(file), folder=folder) as server:
        yield Side(_data_address(server), _worker_pid(server), server)


def planned_answer(side: Side, exchange: Exchange) -> bytes:
    """Asks until a plan answers, which takes a window; what it answers."""
    until_s = time.monotonic() + _READY_S
    with grpc.insecure_channel(side.address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(exchange.method)
        while time.monotonic() < until_s:
            data = call(exchange.request, timeout=_READY_S)
            if exchange.response.FromString(data).reason.basis == pb.BASIS_PLAN:
                return data
            time.sleep(_ASK_EVERY_S)
    raise side.server.failed(f"has no plan after {_READY_S:g} s")


def compare_under_load(
    held: tuple[Claim, ...], exchange: Exchange, subject: Side, floor: Side, *, toy: bool
) -> list[Row]:
    """Loads both in turn, at one rate; a row for each metric."""
    name = held[0].name.partition(".")[0]
    pairs = alternate(
        name,
        partial(_load, exchange, subject, toy),
        partial(_load, exchange, floor, toy),
        rounds=1 if toy else 12,
    )
    for toll in (toll for pair in pairs for toll in pair):
        warn_if_generator_bound(name, toll)
    return [
        judge(claim, [(metric(s), metric(f)) for s, f in pairs])
        for claim, metric in zip(held, _METRICS.values(), strict=True)
    ]


def _load(exchange: Exchange, side: Side, toy: bool) -> Toll:
    order = Order(
        address=side.address,
        method=exchange.method,
        request_hex=exchange.request.hex(),
        pid=side.pid,
        serial_calls=20 if toy else 500,
        paced_calls=200 if toy else 2_500,
        rate_per_s=500,
        seed=7,
    )
    return Toll.model_validate_json(answer("-m", "benchmarks.load", order.model_dump_json()))


def warn_if_generator_bound(name: str, toll: Toll) -> None:
    """A load generator that is itself the bottleneck is no result."""
    if toll.late_p99_us > _LATE_US_MAX or toll.generator_load > _GENERATOR_LOAD_MAX:
        print(
            f"{name}: the load generator is the bottleneck, do not trust this: p99 of its own "
            f"delay {toll.late_p99_us:,.0f} us, {toll.generator_load:.0%} of a core",
            file=sys.stderr,
        )


def _data_address(server: Server) -> str:
    """Where it takes requests, by its own log."""
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s and server.process.poll() is None:
        for line in server.log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry: dict[str, str] = json.loads(line)
                if entry["event"] == "serving":
                    return entry["data"]
        time.sleep(_ASK_EVERY_S)
    raise server.failed("does not serve")


def _worker_pid(server: Server) -> int:
    for child in psutil.Process(server.process.pid).children():
        if "server.app.worker" in child.cmdline():
            return child.pid
    raise server.failed("runs no worker")
