"""`Infer` of 1 KB through a real `turnout serve` to an endpoint that answers 1 KB at once.

The design promises 1/8 of the floor's CPU, from a transport of our own; on grpc.aio a call cannot
cost less than the floor, which is a grpc.aio proxy alone.
"""

import tempfile
from pathlib import Path

from benchmarks.harness import Benchmark, Row
from benchmarks.service import (
    Exchange,
    bare_server,
    claims,
    compare_under_load,
    planned_answer,
    turnout,
)
from server.wire import oip_pb2 as oip
from turnout.v1 import routing_pb2 as pb

# The floor passes the same bytes on to the same endpoint, and reads nothing.
CLAIMS = claims("infer", "Infer", "grpc.aio proxy")

_FLOATS = 256  # 1 KB


def _request() -> bytes:
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, _FLOATS])
    request = oip.ModelInferRequest(inputs=[tensor], raw_input_contents=[bytes(4 * _FLOATS)])
    return request.SerializeToString()


def _answer() -> bytes:
    tensor = oip.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[1, _FLOATS])
    response = oip.ModelInferResponse(
        model_name="identity", outputs=[tensor], raw_output_contents=[bytes(4 * _FLOATS)]
    )
    return response.SerializeToString()


_EXCHANGE = Exchange(
    "/turnout.v1.RoutingService/Infer",
    pb.InferRequest(
        context=pb.RequestContext(tenant="acme", labels={"app": "bulk", "stage": "live"}),
        oip_request=_request(),
    ).SerializeToString(),
    pb.InferResponse,
)


def run(toy: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            bare_server(folder, "endpoint", "--answer", _answer().hex()) as endpoint,
            bare_server(folder, "proxy", "--forward-to", endpoint.address) as floor,
            turnout(folder, endpoint, window_s=0.5 if toy else 5) as subject,
        ):
            planned_answer(subject, _EXCHANGE)
            return compare_under_load(CLAIMS, _EXCHANGE, subject, floor, toy=toy)


BENCHMARK = Benchmark("infer", CLAIMS, run)
