"""More than fits: who is answered in time, who is refused, and what a refusal costs.

A real `turnout serve` with two workers, before an endpoint that serves so many at one time and lets
others queue, as model servers do. Its model states nine tenths of what the endpoint can do, and
that as many may wait as are served. Calls come in open loops of a high and a low class, at 1.5, 3
and 25 times the stated capacity. The floors are what fits, and the same service whose model states
no capacity, so that nothing is shed.
"""

import json
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import load
from benchmarks.harness import Benchmark, Claim, Row, alternate, judge
from benchmarks.load import WARM_UP_BURSTS, Toll
from benchmarks.overload_callers import Fates, Order, Stream, Tally
from benchmarks.processes import Server, serving
from benchmarks.service import Turnout, bare_server, configured
from benchmarks.sides import Side
from server.wire import oip_pb2 as oip
from turnout.v1 import routing_pb2 as pb

_WORKERS = 2
_CONNECTIONS = 8
_SEED = 7
_SLOTS, _SERVICE_S = 8, 0.1
# The rest is what a queue needs to stay short.
_CAPACITY_PER_S = 0.9 * _SLOTS / _SERVICE_S
_STATED = {"requests_per_s": _CAPACITY_PER_S, "concurrent": 2 * _SLOTS}
_HIGH_PER_S = 0.3 * _CAPACITY_PER_S
_SLO_S, _DEADLINE_S = 0.4, 2.0
_REFUSED_PER_S, _BURST, _BURSTS, _REFUSAL_ROUNDS = 1_000.0, 64, 24, 12
# Workers push four times a second, and what is read of it is made once a second.
_COUNTED_WITHIN_S = 10.0
_ASK_EVERY_S = 0.1
_OK, _UNAVAILABLE = 0, 14  # of gRPC
_IN_TIME_MIN = 0.95

_CONFIG = """\
window_s: WINDOW_S
state_dir: STATE_DIR
listeners: {data: "127.0.0.1:0", prometheus: "127.0.0.1:PORT"}
models:
  - name: svc
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.0001}
    prior_accuracy: 0.9
    capacity: CAPACITY
classes:
  - {name: high, priority: 10, slo: {ms: 400, fraction: 0.95}, deadline_s: 2}
  - {name: low, default: true, slo: {ms: 400, fraction: 0.95}, deadline_s: 2}
"""


class Lengths(NamedTuple):
    """Of one measurement."""

    window_s: float
    settle_s: float  # until the plan knows the load
    counted_s: float
    rounds: int


_FULL, _TOY = Lengths(1.0, 6.0, 15.0, 2), Lengths(0.3, 0.5, 0.5, 1)


class Subject(NamedTuple):
    """A `turnout serve`, and where its metrics are read."""

    service: Turnout
    metrics_port: int


class Stage(NamedTuple):
    """What all of it needs."""

    folder: Path
    callers: Server
    lengths: Lengths

    def tally(self, subject: Subject, method: str, streams: Mapping[str, float]) -> Tally:
        """What becomes of calls at these rates, by class."""
        order = Order(
            address=subject.service.address,
            method=_path(method),
            streams=tuple(_stream(method, *one) for one in streams.items()),
            settle_s=self.lengths.settle_s,
            counted_s=self.lengths.counted_s,
            deadline_s=_DEADLINE_S,
            connections=_CONNECTIONS,
            pids=tuple(subject.service.pids.values()),
            seed=_SEED,
        )
        return Tally.model_validate_json(self.callers.ask(order.model_dump_json()))


class Point(NamedTuple):
    """One load, and what it is held to."""

    factor: float  # of what fits
    gain_min: float  # in time, against what is not shed: as much as a trial showed

    @property
    def streams(self) -> Mapping[str, float]:
        return {"high": _HIGH_PER_S, "low": self.factor * _CAPACITY_PER_S - _HIGH_PER_S}

    def claims(self) -> tuple[Claim, Claim, Claim, Claim]:
        name = f"overload.{self.factor:g}x"
        return (
            Claim(f"{name}.in_time/fits", "answer", "place", 1 / _IN_TIME_MIN, unit="ms"),
            Claim(f"{name}.in_time/unshed", "answer", "unshed", 1 / self.gain_min, unit="ms"),
            Claim(f"{name}.high", "in time", "sent", 1 / _IN_TIME_MIN, unit="ms"),
            Claim(f"{name}.refused", "counted", "told", 1.0, unit="calls"),
        )


POINTS = (Point(1.5, 1.6), Point(3.0, 6.0), Point(25.0, 6.0))
# Both have to be read; what follows is to cost no more where the answer is no.
REFUSALS = tuple(
    Claim(f"overload.refusal.{method.lower()}", f"refused {method}", "answered", ratio_max=1)
    for method in ("Infer", "Route")
)


def run(toy: bool) -> list[Row]:
    lengths = _TOY if toy else _FULL
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        model = ("--transport", "turnout", "--slots", str(_SLOTS), "--service-s", str(_SERVICE_S))
        endpoint = stack.enter_context(bare_server(folder, "endpoint", "--answer", "", *model))
        callers = serving("callers", "-m", "benchmarks.overload_callers", folder=folder)
        stage = Stage(folder, stack.enter_context(callers), lengths)
        subject = stack.enter_context(_turnout(stage, "shedding", endpoint, _STATED))
        with _turnout(stage, "unshed", endpoint, {}) as unshed:
            rows = [row for point in POINTS for row in _rows(stage, point, subject, unshed)]
        at_once = stack.enter_context(
            bare_server(folder, "at-once", "--answer", "", "--transport", "turnout")
        )
        answering = stack.enter_context(_turnout(stage, "answering", at_once, {}))
        return [*rows, *_refusal_rows(stage, subject, answering)]


def _rows(stage: Stage, point: Point, subject: Subject, unshed: Subject) -> Iterator[Row]:
    taken = []
    for _ in range(stage.lengths.rounds):
        before = _counted(subject)
        ours = stage.tally(subject, "Infer", point.streams)
        counted = _counted_since(subject, before, ours.refused)
        taken.append((ours, counted, stage.tally(unshed, "Infer", point.streams)))
    fits, against, high, refused = point.claims()
    each_ms = 1_000 / _CAPACITY_PER_S
    lasts_ms = stage.lengths.counted_s * 1_000
    yield judge(fits, [(_each_ms(ours, lasts_ms), each_ms) for ours, _, _ in taken])
    yield judge(
        against,
        [(_each_ms(ours, lasts_ms), _each_ms(theirs, lasts_ms)) for ours, _, theirs in taken],
    )
    yield judge(high, [_of_high(ours.classes["high"], lasts_ms) for ours, _, _ in taken])
    yield judge(refused, [_apart(counted, ours.refused) for ours, counted, _ in taken])


def _apart(counted: int, told: int) -> tuple[float, float]:
    """The larger first: more is as wrong as less. As if one more was refused, for there are none
    at toy size.
    """
    return max(counted, told) + 1, min(counted, told) + 1


def _each_ms(tally: Tally, lasts_ms: float) -> float:
    """Between two answers in time; of none at all, as if there was one."""
    return lasts_ms / max(sum(fates.in_time for fates in tally.classes.values()), 1)


def _of_high(fates: Fates, lasts_ms: float) -> tuple[float, float]:
    """Between two that were answered in time, and between two that were sent."""
    return lasts_ms / max(fates.in_time, 1), lasts_ms / max(fates.sent, 1)


def _refusal_rows(stage: Stage, subject: Subject, answering: Subject) -> Iterator[Row]:
    """Nearly all of as many calls are refused, and none."""
    bursts, rounds = (1, 1) if stage.lengths is _TOY else (_BURSTS, _REFUSAL_ROUNDS)
    with serving("generator", "-m", "benchmarks.load", folder=stage.folder) as generator:
        for claim, method in zip(REFUSALS, ("Infer", "Route"), strict=True):

            def cpu_us(side: Subject, method: str = method) -> float:
                order = _burst_order(side.service, method, bursts)
                return Toll.model_validate_json(generator.ask(order.model_dump_json())).cpu_us

            ours, theirs = partial(cpu_us, subject), partial(cpu_us, answering)
            yield judge(claim, alternate(claim.name, ours, theirs, rounds=rounds))


def _burst_order(service: Turnout, method: str, bursts: int) -> load.Order:
    return load.Order(
        address=service.address,
        method=_path(method),
        request_hex=_stream(method, "low", _REFUSED_PER_S).request_hex,
        answer_bytes_min=0,
        statuses=(_OK, _UNAVAILABLE),
        metadata="fresh",
        seed=_SEED,
        pids=tuple(service.pids.values()),
        connections=_CONNECTIONS,
        calls=_BURST // _CONNECTIONS,
        bursts=bursts,
        rate_per_s=_REFUSED_PER_S,
    )


@contextmanager
def _turnout(
    stage: Stage, name: str, endpoint: Side, capacity: Mapping[str, float]
) -> Iterator[Subject]:
    """A service whose model states this capacity."""
    port = _free_port()
    text = _CONFIG.replace("WINDOW_S", str(stage.lengths.window_s)).replace("PORT", str(port))
    text = text.replace("ENDPOINT", json.dumps(endpoint.address))
    text = text.replace("CAPACITY", json.dumps(capacity))
    with configured(_WORKERS, stage.folder / name, text) as (service, _):
        yield Subject(service, port)


def _path(method: str) -> str:
    return f"/turnout.v1.RoutingService/{method}"


def _stream(method: str, traffic_class: str, rate_per_s: float) -> Stream:
    context = pb.RequestContext(traffic_class=traffic_class, tenant="acme")
    request: pb.InferRequest | pb.RouteRequest
    if method == "Infer":
        content = oip.ModelInferRequest(id="r1").SerializeToString()
        request = pb.InferRequest(context=context, oip_request=content)
    else:
        features = pb.Features(input_tokens=250, payload_kind=pb.PAYLOAD_KIND_TENSORS)
        request = pb.RouteRequest(context=context, features=features)
    return Stream(
        traffic_class=traffic_class,
        request_hex=request.SerializeToString().hex(),
        rate_per_s=rate_per_s,
        slo_s=_SLO_S,
    )


def _counted_since(subject: Subject, before: int, told: int) -> int:
    """What it says that it has refused since then, once that is as much as callers were told.

    If it never is, what it says at last.
    """
    until_s, counted = time.monotonic() + _COUNTED_WITHIN_S, -1
    while time.monotonic() < until_s and counted != told:
        time.sleep(_ASK_EVERY_S)
        counted = _counted(subject) - before
    return counted


def _counted(subject: Subject) -> int:
    """What its metrics say that it has refused."""
    with urllib.request.urlopen(f"http://127.0.0.1:{subject.metrics_port}/metrics") as response:
        lines = response.read().decode().splitlines()
    shed = [line for line in lines if line.startswith("turnout_shed_total{")]
    return round(sum(float(line.rpartition(" ")[2]) for line in shed))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


CLAIMS = (*(claim for point in POINTS for claim in point.claims()), *REFUSALS)
_STARTS_S = 15.0  # of three services
_TALLY_S = _FULL.settle_s + _FULL.counted_s + _DEADLINE_S
_TOLL_S = (WARM_UP_BURSTS + _BURSTS) * _BURST / _REFUSED_PER_S
_TAKES_S = (
    _STARTS_S
    + len(POINTS) * _FULL.rounds * 2 * _TALLY_S
    + len(REFUSALS) * (1 + _REFUSAL_ROUNDS) * 2 * _TOLL_S
)
BENCHMARK = Benchmark("overload", CLAIMS, run, _TAKES_S)
