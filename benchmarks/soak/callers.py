"""Well-behaved callers: each call has a deadline, and has to be answered by it."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from grpc_health.v1 import health_pb2

from benchmarks.soak.clients import DEADLINE_S, Client, Grpcio, Ours, Refused
from benchmarks.soak.endpoint import SLOW, SLOW_S
from benchmarks.soak.stage import KEPT, STRAY
from benchmarks.soak.tally import Fault, Tally
from server.status_code import Code
from server.wire import oip_pb2
from turnout.v1 import routing_pb2 as pb

ROUTE = "/turnout.v1.RoutingService/Route"
ROUTE_BATCH = "/turnout.v1.RoutingService/RouteBatch"
INFER = "/turnout.v1.RoutingService/Infer"
REPORT = "/turnout.v1.RoutingService/Report"
WATCH = "/grpc.health.v1.Health/Watch"

# Of a call that is meant to be late: the slow answer comes long after it.
SHORT_S = SLOW_S / 20
INFER_SIZES = (0, 1_000, 30_000, 300_000, 1_000_000)
_WATCHED_S = 2.0


Call = Callable[[Client, Tally, random.Random], Awaitable[None]]  # raises Fault


class Caller(NamedTuple):
    """What it does again and again on its own client, and how long it rests in between."""

    name: str
    client: Callable[[str], Client]
    call: Call
    rest_s: float


async def route(client: Client, tally: Tally, dice: random.Random) -> None:
    await _routed(client, tally, f"r{dice.randrange(10**9)}")


async def infer(client: Client, tally: Tally, dice: random.Random) -> None:
    size, request_id = dice.choice(INFER_SIZES), f"i{dice.randrange(10**9)}"
    said = dice.randbytes(size)
    payload = oip_pb2.ModelInferRequest(id=request_id, raw_input_contents=[said])
    request = pb.InferRequest(
        context=_context(KEPT, request_id), oip_request=payload.SerializeToString()
    )
    answer = pb.InferResponse.FromString(await _answer(client, INFER, request.SerializeToString()))
    tally.decided += 1
    echo = oip_pb2.ModelInferResponse.FromString(answer.oip_response)
    if (answer.request_id, echo.id, [*echo.raw_output_contents]) != (
        request_id,
        request_id,
        [said],
    ):
        raise Fault(f"another answer came for {request_id} than was asked for")


async def report(client: Client, tally: Tally, dice: random.Random) -> None:
    decision_id = await _routed(client, tally, f"o{dice.randrange(10**9)}")
    outcome = pb.Outcome(decision_id=decision_id, usage=pb.Usage(input_tokens=10, output_tokens=1))
    outcome.feedback.add(metric="quality", value=dice.randrange(2))
    request = pb.ReportRequest(outcomes=[outcome]).SerializeToString()
    answer = pb.ReportResponse.FromString(await _answer(client, REPORT, request))
    if [result.reason for result in answer.results] != [""]:
        raise Fault(f"the outcome was not counted: {answer.results}")


async def watch(client: Client, _tally: Tally, dice: random.Random) -> None:
    await watch_for(client, dice.uniform(0, _WATCHED_S))


async def watch_for(client: Client, held_s: float) -> None:
    """Hears that all is well, and nothing else for so long."""
    try:
        answer = await client.first(WATCH, b"", held_s)
    except Refused as refused:
        raise Fault(str(refused)) from None
    status = health_pb2.HealthCheckResponse.FromString(answer).status
    if status != health_pb2.HealthCheckResponse.SERVING:
        raise Fault(f"health is {status}")


async def be_late(client: Client, _tally: Tally, _dice: random.Random) -> None:
    """A deadline that passes before the answer."""
    try:
        await client.unary(INFER, slow_infer(), SHORT_S)
    except Refused as refused:
        if refused.code == Code.DEADLINE_EXCEEDED:
            return
        raise Fault(str(refused)) from None
    raise Fault("the slow answer came before its time")


async def change_mind(client: Client, _tally: Tally, dice: random.Random) -> None:
    """A call that its caller cancels."""
    call = asyncio.ensure_future(client.unary(INFER, slow_infer(), DEADLINE_S))
    await asyncio.wait([call], timeout=dice.uniform(0, SHORT_S))
    if call.done():
        raise Fault(f"the slow call ended before its time: {call.exception()}")
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call


async def _routed(client: Client, tally: Tally, request_id: str) -> str:
    """Its decision id."""
    request = pb.RouteRequest(context=_context(KEPT, request_id))
    answer = pb.RouteResponse.FromString(await _answer(client, ROUTE, request.SerializeToString()))
    tally.decided += 1
    if answer.request_id != request_id or not answer.target.model:
        raise Fault(f"another answer came for {request_id} than was asked for")
    return answer.decision_id


def slow_infer() -> bytes:
    """A request that is answered after SLOW_S."""
    payload = oip_pb2.ModelInferRequest(id=SLOW).SerializeToString()
    return pb.InferRequest(context=_context(STRAY, SLOW), oip_request=payload).SerializeToString()


def _context(traffic_class: str, request_id: str) -> pb.RequestContext:
    return pb.RequestContext(traffic_class=traffic_class, request_id=request_id)


async def _answer(client: Client, path: str, request: bytes) -> bytes:
    try:
        return await client.unary(path, request, DEADLINE_S)
    except Refused as refused:
        raise Fault(str(refused)) from None


# How long a caller rests after each call, in the mean.
_CALLS: Mapping[str, tuple[Call, float]] = {
    "route": (route, 0.02),
    "infer": (infer, 0.1),
    "report": (report, 0.1),
    "watch": (watch, 0.1),
    "late": (be_late, 0.1),
    "cancel": (change_mind, 0.1),
}
CALLERS = tuple(
    Caller(f"{name} {kind.__name__.lower()}", kind, call, rest_s)
    for name, (call, rest_s) in _CALLS.items()
    for kind in (Ours, Grpcio)
)
