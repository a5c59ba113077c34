"""`Route` of a real `turnout serve` beside a server of the reader's, in turn, under the same load.

Theirs is asked what ours is, or a unary method of its own. It is spoken to in plaintext. What it
costs is known where the ids of its processes are; from elsewhere only latencies are.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import grpc
import psutil

from benchmarks.grid import LAYOUTS, SUBJECT, Field, Held, Load, Point, takes_s
from benchmarks.harness import Benchmark, Measured
from benchmarks.service import ROUTE, Exchange, bare_server, turnout
from benchmarks.sides import Side

_SUBJECT = "Route"
_NAME = "against"
# Held to theirs itself: "met" is no slower and no dearer.
_RATIO_MAX = 1.0
_ANSWER_S = 5.0


class Refused(Exception):
    """Theirs cannot be compared; the message says what to do."""


class Theirs(NamedTuple):
    """A reader's own server."""

    address: str
    method: str
    request: bytes
    pids: tuple[int, ...]  # of its processes, whose CPU time counts


def theirs_at(address: str, method: str, request: bytes | None, pids: Sequence[int]) -> Theirs:
    """Raises Refused where this cannot be a server, before anything is started."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal()) or "/" in address:
        raise Refused(f"--against {address}: HOST:PORT is right, such as 127.0.0.1:9000")
    if len(method.strip("/").split("/")) != len(("service", "method")):
        raise Refused(f"--method {method}: /package.Service/Method is right")
    gone = [pid for pid in pids if not psutil.pid_exists(pid)]
    if gone:
        raise Refused(f"--pid {gone[0]}: there is no such process on this machine")
    message = ROUTE.request if request is None else request
    return Theirs(address, f"/{method.strip('/')}", message, tuple(pids))


def benchmark_against(theirs: Theirs) -> Benchmark:
    """What `--against` measures."""
    points = tuple(_points(theirs))
    claims = tuple(claim for point in points for claim in point.claims(_SUBJECT))
    return Benchmark(_NAME, claims, partial(_run, theirs, points), takes_s(points, stock_us=0.0))


def _points(theirs: Theirs) -> Iterator[Point]:
    """The loads of `route` that do not hang on the stock server."""
    metrics = ("cpu", "p50", "p99") if theirs.pids else ("p50", "p99")
    for connections, calls in LAYOUTS:
        yield Point(
            f"{_NAME}.{connections}x{calls}.fresh",
            Load(connections, calls),
            tuple(Held(theirs.address, metric, _RATIO_MAX) for metric in metrics),
        )
    alone = Held(theirs.address, "p50", _RATIO_MAX)
    yield Point(f"{_NAME}.alone", Load(1, 1, rate_per_s=200, counted=300), (alone,))


def _run(theirs: Theirs, points: Sequence[Point], toy: bool) -> list[Measured]:
    check_that_it_answers(theirs)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        endpoint = stack.enter_context(bare_server(folder, "endpoint", "--answer", ""))
        ours = turnout(folder, endpoint.address, ROUTE, window_s=0.5 if toy else 5)
        sides = {
            SUBJECT: stack.enter_context(ours),
            theirs.address: Side(theirs.address, theirs.pids),
        }
        asked = ROUTE._replace(method=theirs.method, request=theirs.request)
        exchanges: dict[str, Exchange] = {SUBJECT: ROUTE, theirs.address: asked}
        return list(Field(folder, sides, exchanges, tls=None).rows(_SUBJECT, points, toy=toy))


def check_that_it_answers(theirs: Theirs) -> None:
    """Asks once; raises Refused with what to do where no answer comes."""
    # Asked directly, whatever proxy the environment has for HTTP.
    with grpc.insecure_channel(theirs.address, [("grpc.enable_http_proxy", 0)]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(theirs.method)
        try:
            call(theirs.request, timeout=_ANSWER_S)
        except grpc.RpcError as error:
            raise Refused(_advice(theirs, error.code(), error.details() or "")) from None


def _advice(theirs: Theirs, code: grpc.StatusCode, details: str) -> str:
    said = f"{theirs.address} answers {theirs.method} with {code.name}: {details}"
    if code is grpc.StatusCode.UNAVAILABLE:
        return (
            f"{theirs.address} does not answer: start it first, and let it take plaintext HTTP/2 "
            f"(gRPC without TLS) there. {details}"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return (
            f"{theirs.address} does not answer within {_ANSWER_S:g} s: is it gRPC in plaintext, "
            "and not busy?"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{said}. Name a unary method of its own by --method /package.Service/Method"
    return f"{said}. Give a message that it answers by --request FILE"
