"""`Route` with features through a real `turnout serve`, beside servers that echo a constant.

The echoes answer the very bytes that the subject does, and read nothing.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.grid import STOCK, SUBJECT, Field, Held, Load, Point, layouts, takes_s
from benchmarks.harness import Benchmark, Measured
from benchmarks.service import ROUTE, answer_of, bare_server, certificate, turnout
from benchmarks.sides import Certificate

_OWN = "own echo"  # our transport, and nothing on it
_SUBJECT = "Route"


def _cpu(connections: int) -> Iterator[Held]:
    """The design's targets: an eighth of the stock server, a sixth where no call shares a read."""
    yield Held(STOCK, "cpu", 1 / 8 if connections == 1 else 1 / 6)
    yield Held(_OWN, "cpu", 2.5)


def _cpu_tls(_connections: int) -> Iterator[Held]:
    """No target was set for TLS, whose own cost is in both."""
    yield Held(STOCK, "cpu", 1)
    yield Held(_OWN, "cpu", 2.5)


def _tail(part: float) -> Point:
    held = tuple(Held(STOCK, metric, 1) for metric in ("p50", "p99", "p999"))
    return Point(f"route.at_{part:.0%}", Load(4, 1, of_stock=part, counted=2_000), held)


_PLAIN = (
    *layouts("route", _cpu),
    *(
        point._replace(name=f"{point.name}.at_70%", load=point.load._replace(of_stock=0.7))
        for point in layouts("route", _cpu, ("fresh",))
    ),
    Point("route.alone", Load(1, 1, rate_per_s=200, counted=300), (Held(STOCK, "p50", 1),)),
    _tail(0.5),
    _tail(0.8),
)
_TLS = tuple(layouts("route.tls", _cpu_tls))


def run(toy: bool) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tls = certificate(folder)
        return [
            *_rows(folder, _PLAIN, None, toy=toy),
            *_rows(folder, _TLS, tls, toy=toy),
        ]


def _rows(
    folder: Path, points: tuple[Point, ...], tls: Certificate | None, *, toy: bool
) -> list[Measured]:
    with ExitStack() as stack:
        endpoint = stack.enter_context(bare_server(folder, "endpoint", "--answer", ""))
        subject = stack.enter_context(
            turnout(folder, endpoint.address, ROUTE, window_s=0.5 if toy else 5, tls=tls)
        )
        message = answer_of(subject, ROUTE.method, ROUTE.request, tls).hex()
        sides = {
            SUBJECT: subject,
            STOCK: stack.enter_context(bare_server(folder, "echo", "--answer", message, tls=tls)),
            _OWN: stack.enter_context(
                bare_server(
                    folder, "own-echo", "--transport", "turnout", "--answer", message, tls=tls
                )
            ),
        }
        field = Field(folder, sides, dict.fromkeys(sides, ROUTE), tls=tls)
        return list(field.rows(_SUBJECT, points, toy=toy))


CLAIMS = tuple(claim for point in (*_PLAIN, *_TLS) for claim in point.claims(_SUBJECT))
_STOCK_US = 150.0  # CPU time of a call, as it was on two cores of a Xeon
_TAKES_S = takes_s(_PLAIN, _STOCK_US) + takes_s(_TLS, _STOCK_US)
BENCHMARK = Benchmark("route", CLAIMS, run, _TAKES_S)
