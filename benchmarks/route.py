"""`Route` with features through a real `turnout serve`.

The design promises 1/8 of the floor's CPU, from a transport of our own; on grpc.aio a call cannot
cost less than the floor, which is grpc.aio alone.
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
from turnout.v1 import routing_pb2 as pb

# The floor answers the very bytes that the subject does, and reads nothing.
CLAIMS = claims("route", "Route", "grpc.aio echo")

_EXCHANGE = Exchange(
    "/turnout.v1.RoutingService/Route",
    pb.RouteRequest(
        context=pb.RequestContext(tenant="acme", labels={"app": "bulk", "stage": "live"}),
        features=pb.Features(input_tokens=250, payload_kind=pb.PAYLOAD_KIND_TENSORS),
    ).SerializeToString(),
    pb.RouteResponse,
)


def run(toy: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            bare_server(folder, "endpoint", "--answer", "") as endpoint,
            turnout(folder, endpoint, window_s=0.5 if toy else 5) as subject,
        ):
            message = planned_answer(subject, _EXCHANGE)
            with bare_server(folder, "echo", "--answer", message.hex()) as floor:
                return compare_under_load(CLAIMS, _EXCHANGE, subject, floor, toy=toy)


BENCHMARK = Benchmark("route", CLAIMS, run)
