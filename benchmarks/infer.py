"""`Infer` through a real `turnout serve` to an endpoint that answers at once, beside bare proxies.

A pass-through: an OIP client's request and the endpoint's answer, 1 KB each, and larger tensors.
The proxies pass the same bytes on to the same endpoint, and read nothing of them.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.floors.proxies import ENVOY, NGINX, absence, envoy, nginx
from benchmarks.grid import STOCK, SUBJECT, Field, Held, Load, Point, layouts, takes_s
from benchmarks.harness import Benchmark, Measured
from benchmarks.service import Exchange, bare_server, certificate, turnout
from benchmarks.sides import Certificate
from server.wire import oip_pb2 as oip
from turnout.v1 import routing_pb2 as pb

_SUBJECT = "Infer"
_KB = 1_024


def _cpu(_connections: int) -> Iterator[Held]:
    yield Held(STOCK, "cpu", 1 / 8)
    yield Held(ENVOY, "cpu", 1)
    yield Held(NGINX, "cpu", 1)


def _cpu_tls(_connections: int) -> Iterator[Held]:
    yield Held(ENVOY, "cpu", 1)


def _tail(part: float) -> Point:
    held = tuple(
        Held(floor, metric, 1) for floor in (STOCK, ENVOY) for metric in ("p50", "p99", "p999")
    )
    return Point(f"infer.at_{part:.0%}", Load(4, 1, of_stock=part, counted=2_000), held)


_PLAIN = (
    *layouts("infer", _cpu),
    *(
        point._replace(name=f"{point.name}.at_70%", load=point.load._replace(of_stock=0.7))
        for point in layouts("infer", _cpu, ("fresh",))
    ),
    Point("infer.alone", Load(1, 1, rate_per_s=200, counted=300), (Held(ENVOY, "p50", 1),)),
    _tail(0.5),
    _tail(0.8),
)
_TLS = tuple(layouts("infer.tls", _cpu_tls))
_LARGE = {
    100 * _KB: Point("infer.100kb", Load(4, 1, rate_per_s=200, counted=200), tuple(_cpu(4))),
    1_024 * _KB: Point("infer.1mb", Load(4, 1, rate_per_s=40, counted=40), tuple(_cpu(4))),
}


def _exchange(tensor_bytes: int) -> Exchange:
    tensor = oip.ModelInferRequest.InferInputTensor(
        name="x", datatype="FP32", shape=[1, tensor_bytes // 4]
    )
    request = oip.ModelInferRequest(inputs=[tensor], raw_input_contents=[bytes(tensor_bytes)])
    return Exchange(
        "/turnout.v1.RoutingService/Infer",
        pb.InferRequest(
            context=pb.RequestContext(tenant="acme", labels={"app": "bulk", "stage": "live"}),
            oip_request=request.SerializeToString(),
        ).SerializeToString(),
        pb.InferResponse,
    )


def _answer(tensor_bytes: int) -> bytes:
    tensor = oip.ModelInferResponse.InferOutputTensor(
        name="y", datatype="FP32", shape=[1, tensor_bytes // 4]
    )
    response = oip.ModelInferResponse(
        model_name="identity", outputs=[tensor], raw_output_contents=[bytes(tensor_bytes)]
    )
    return response.SerializeToString()


def run(toy: bool) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tls = certificate(folder)
        rows = [
            *_rows(folder / "plain", _PLAIN, _KB, None, toy=toy),
            *_rows(folder / "tls", _TLS, _KB, tls, toy=toy),
        ]
        for size, point in _LARGE.items():
            rows += _rows(folder / str(size), (point,), size, None, toy=toy)
        return rows


def _rows(
    folder: Path,
    points: tuple[Point, ...],
    tensor_bytes: int,
    tls: Certificate | None,
    *,
    toy: bool,
) -> list[Measured]:
    folder.mkdir()
    exchange = _exchange(tensor_bytes)
    with ExitStack() as stack:
        answer_file = folder / "answer"
        answer_file.write_bytes(_answer(tensor_bytes))
        # Our own transport: it answers more than any proxy here can ask.
        endpoint = stack.enter_context(
            bare_server(
                folder, "endpoint", "--transport", "turnout", "--answer-file", str(answer_file)
            )
        )
        subject = turnout(folder, endpoint.address, exchange, window_s=0.5 if toy else 5, tls=tls)
        proxy = bare_server(folder, "proxy", "--forward-to", endpoint.address, tls=tls)
        sides = {
            SUBJECT: stack.enter_context(subject),
            STOCK: stack.enter_context(proxy),
        }
        for name, start in {ENVOY: envoy, NGINX: nginx}.items():
            if not absence(name):
                sides[name] = stack.enter_context(start(folder, endpoint.address, tls))
        field = Field(folder, sides, dict.fromkeys(sides, exchange), tls=tls)
        return list(field.rows(_SUBJECT, points, toy=toy))


CLAIMS = tuple(
    claim for point in (*_PLAIN, *_TLS, *_LARGE.values()) for claim in point.claims(_SUBJECT)
)
_STOCK_US = 330.0  # CPU time of a call, as it was on two cores of a Xeon
_TAKES_S = (
    takes_s(_PLAIN, _STOCK_US)
    + takes_s(_TLS, _STOCK_US)
    + sum(takes_s((point,), _STOCK_US) for point in _LARGE.values())
)
BENCHMARK = Benchmark("infer", CLAIMS, run, _TAKES_S)
