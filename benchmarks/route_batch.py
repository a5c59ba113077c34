"""`RouteBatch` of 1,000 requests through a real `turnout serve`, for each decision.

The floor is `Route` of the same service, asked one request a call where that is cheapest: 64 calls
to a read. The requests differ in nothing, in their tokens and tenants, or each in its user too,
which leaves the service nothing to share but the decisions.
"""

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.grid import warn_if_generator_bound
from benchmarks.harness import Benchmark, Claim, Row, alternate, judge
from benchmarks.load import WARM_UP_BURSTS, Order, Toll
from benchmarks.processes import ProcessFailed, Server, serving
from benchmarks.service import Exchange, answer_of, bare_server, turnout
from benchmarks.sides import Side
from turnout.v1 import routing_pb2 as pb

_REQUESTS = 1_000
_TENANTS = 20
_SEED = 7
# A quarter of a core: what a worker does beside its calls is little of it.
_BATCHES_PER_S, _BATCHES = 50.0, 50
_SINGLES_PER_S, _BURSTS, _CALLS = 1_000.0, 16, 64
_ROUNDS = 8

_SUBJECT, _FLOOR = "RouteBatch", "Route"
_PROMISED_US = 1e6 / 150_000  # on one core
_ALIKE, _VARIED, _USERS = CLAIMS = (
    Claim("route_batch.alike", _SUBJECT, _FLOOR, subject_us_max=_PROMISED_US),
    Claim("route_batch.varied", _SUBJECT, _FLOOR, subject_us_max=_PROMISED_US),
    Claim("route_batch.users", _SUBJECT, _FLOOR, ratio_max=1),
)


class _Work(NamedTuple):
    """Calls, and how they arrive."""

    method: str
    request: bytes
    calls: int  # in a burst
    bursts: int
    rate_per_s: float


def run(toy: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        endpoint = stack.enter_context(bare_server(folder, "endpoint", "--answer", ""))
        exchange = Exchange(_method(_FLOOR), request().SerializeToString(), pb.RouteResponse)
        side = stack.enter_context(
            turnout(folder, endpoint.address, exchange, window_s=0.5 if toy else 5)
        )
        generator = stack.enter_context(
            serving("generator", "-m", "benchmarks.load", folder=folder)
        )
        return [_row(claim, side, generator, toy=toy) for claim in CLAIMS]


def request(tokens: int = 250, tenant: str = "acme", user: str = "") -> pb.RouteRequest:
    """With features, as the floor asks it too."""
    return pb.RouteRequest(
        context=pb.RequestContext(
            tenant=tenant, user=user, labels={"app": "bulk", "stage": "live"}
        ),
        features=pb.Features(input_tokens=tokens, payload_kind=pb.PAYLOAD_KIND_TENSORS),
    )


def requests(claim: Claim) -> Iterator[pb.RouteRequest]:
    """Those of a batch."""
    chance = random.Random(_SEED)
    for number in range(_REQUESTS):
        if claim is _ALIKE:
            yield request()
        else:
            tokens, tenant = chance.randrange(50, 4_000), f"tenant-{chance.randrange(_TENANTS)}"
            yield request(tokens, tenant, f"user-{number}" if claim is _USERS else "")


def _row(claim: Claim, side: Side, generator: Server, *, toy: bool) -> Row:
    batch = pb.RouteBatchRequest(requests=requests(claim)).SerializeToString()
    bursts = 1 if toy else None
    many = _Work(_method(_SUBJECT), batch, 1, bursts or _BATCHES, _BATCHES_PER_S)
    _check_answer(side, many)
    one = request().SerializeToString()
    singles = _Work(_method(_FLOOR), one, _CALLS, bursts or _BURSTS, _SINGLES_PER_S)

    def subject_us() -> float:
        return _toll(claim, many, side, generator, toy=toy).cpu_us / _REQUESTS

    def floor_us() -> float:
        return _toll(claim, singles, side, generator, toy=toy).cpu_us

    return judge(claim, alternate(claim.name, subject_us, floor_us, rounds=1 if toy else _ROUNDS))


def _check_answer(side: Side, work: _Work) -> None:
    """A batch of refusals is answered fast too, with status 0."""
    answer = pb.RouteBatchResponse.FromString(answer_of(side, work.method, work.request))
    refused = [result for result in answer.results if result.HasField("refusal")]
    if refused or len(answer.results) != _REQUESTS:
        raise ProcessFailed(f"{len(answer.results)} results, {len(refused)} of them refusals")


def _toll(claim: Claim, work: _Work, side: Side, generator: Server, *, toy: bool) -> Toll:
    order = Order(
        address=side.address,
        method=work.method,
        request_hex=work.request.hex(),
        answer_bytes_min=1,
        metadata="fresh",
        pids=side.pids,
        connections=1,
        calls=work.calls,
        bursts=work.bursts,
        rate_per_s=work.rate_per_s,
        seed=_SEED,
    )
    toll = Toll.model_validate_json(generator.ask(order.model_dump_json()))
    if not toy:
        warn_if_generator_bound(f"{claim.name}, {work.method}", toll)
    return toll


def _method(name: str) -> str:
    return f"/turnout.v1.RoutingService/{name}"


_START_S = 10.0
_BATCHES_S = (WARM_UP_BURSTS + _BATCHES) / _BATCHES_PER_S
_SINGLES_S = (WARM_UP_BURSTS + _BURSTS) * _CALLS / _SINGLES_PER_S
_TAKES_S = _START_S + len(CLAIMS) * (1 + _ROUNDS) * (_BATCHES_S + _SINGLES_S)
BENCHMARK = Benchmark("route_batch", CLAIMS, run, _TAKES_S)
