"""A batch is decided in slices that hold the loop for some 2 ms, whatever is in it."""

import asyncio
from collections.abc import AsyncIterator
from math import ceil
from typing import cast

import pytest

from server.config.classes import ClassConfig
from server.config.match import MatchConfig
from server.dispatch.dispatcher import Dispatcher
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.rpc.batch import (
    PLANNED_S,
    ROW_S,
    SLICE_S,
    UNPLANNED_S,
    BatchCall,
)
from server.rpc.errors import Context
from server.rpc.reports import Settle
from server.rpc.routing import ReadLargeChat, RoutingServicer
from tests.contract.serving import TRANSPORTS
from tests.server.routing.configs import config
from tests.server.rpc.requests import TENSORS, chat_request, route_request
from tests.server.rpc.service import CELL, KEY, NOW_S, Service, running, shares_of
from turnout.v1 import routing_pb2 as pb


@pytest.fixture(params=TRANSPORTS)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    async with running(transport=request.param) as made:
        yield made


class Clock:
    """Each reading of a request takes so long, and nothing else."""

    def __init__(self, step_s: float = 0.0) -> None:
        self._step_s = step_s
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += self._step_s
        return self._now_s


async def answered_in_slices(
    service: Service, requests: list[pb.RouteRequest], step_s: float = 0.0
) -> list[int]:
    """How many results each slice has; between two of them comes a new plan."""
    plans = 1

    async def turn() -> None:
        nonlocal plans
        plans += 1
        publish(service, plans)

    publish(service, plans)
    call = BatchCall(
        service.router,
        {},
        lambda _: None,
        turn,
        now_s=lambda: NOW_S,
        clock=Clock(step_s),
        chance=lambda: 0.5,
    )
    data = pb.RouteBatchRequest(requests=requests).SerializeToString()
    parts = [pb.RouteBatchResponse.FromString(part) async for part in call.answer(data)]
    for number, part in enumerate(parts, 1):
        assert {route.plan_id for route in part.routes} <= {f"p{number}"}
    assert plans == len(parts)
    return [len(part.results) for part in parts]


def publish(service: Service, number: int) -> None:
    service.router.publish(WeightTable(f"p{number}", {CELL: shares_of(1.0)}))


def in_a_slice(each_s: float) -> int:
    """Requests that are decided alike, where only what they will take counts."""
    return ceil((SLICE_S - ROW_S) / each_s)


USERS = [route_request(user=f"u{number}") for number in range(1_000)]
META = [
    pb.RouteRequest(
        context=pb.RequestContext(traffic_class="meta"), features=pb.Features(input_tokens=n)
    )
    for n in range(1_000)
]
# How long one takes to decide: those that are decided alike take the same, read together or not.
ESTIMATED = {
    "alike": ([route_request()] * 1_000, PLANNED_S),
    "unlike": (USERS, PLANNED_S),
    "without a plan": (META, UNPLANNED_S),
    "alike without a plan": ([META[0]] * 1_000, UNPLANNED_S),
}


@pytest.mark.parametrize("kind", ESTIMATED)
async def test_a_slice_ends_before_deciding_it_takes_too_long_and_each_is_of_one_plan(
    service: Service, kind: str
) -> None:
    requests, each_s = ESTIMATED[kind]
    most = in_a_slice(each_s)
    found = await answered_in_slices(service, requests)
    assert found == [most] * (1_000 // most) + [1_000 % most]


@pytest.mark.parametrize(
    "request_",
    [
        route_request(),
        route_request(traffic_class="nope"),
        pb.RouteRequest(text=5_000 * "x "),
        pb.RouteRequest(oip_request=TENSORS),
        chat_request("hello"),
    ],
    ids=["alike", "refused", "large", "tensors", "chat"],
)
async def test_a_slice_ends_when_reading_it_took_its_time_whatever_was_read(
    service: Service, request_: pb.RouteRequest
) -> None:
    found = await answered_in_slices(service, [request_] * 100, SLICE_S / 8)
    assert sum(found) == 100
    assert max(found) <= 8


async def test_each_slice_has_a_request_however_long_it_takes(service: Service) -> None:
    assert await answered_in_slices(service, [route_request()] * 5, 2 * SLICE_S) == [1] * 5


async def test_each_row_of_a_slice_counts_as_a_decision(service: Service) -> None:
    features = [
        pb.Features(input_tokens=n, payload_kind=pb.PAYLOAD_KIND_TENSORS) for n in (1, 5_000)
    ]
    sizes = [pb.RouteRequest(features=one) for one in features]
    first, *_ = await answered_in_slices(service, sizes * 500)
    spent_s = 2 * ROW_S + (PLANNED_S + UNPLANNED_S) * first / 2  # the plan has but one of them
    assert SLICE_S <= spent_s < SLICE_S + UNPLANNED_S


class Called:
    """A call: its metadata, and how many bytes are held for it."""

    held = 0

    def hold(self, more_bytes: int) -> None:
        self.held += more_bytes

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-team", "blue"),)


async def test_a_configuration_that_comes_between_slices_finds_the_metadata_of_the_call() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config())
    servicer = RoutingServicer(
        router,
        cast("Dispatcher", None),  # a batch forwards nothing, and reports nothing
        cast("Settle", None),
        cast("ReadLargeChat", None),
        lambda _: None,
        now_s=lambda: NOW_S,
        chance=lambda: 0.5,
    )
    users = [route_request(user=f"u{number}") for number in range(in_a_slice(PLANNED_S) + 1)]
    data = pb.RouteBatchRequest(requests=users).SerializeToString()
    called = Called()
    call = servicer.RouteBatch(data, cast("Context", called))
    answering = asyncio.create_task(call)
    await asyncio.sleep(0)  # its first slice
    blue = ClassConfig(name="blue", match=MatchConfig(metadata={"x-team": ("blue",)}))
    router.configure(config(classes=(blue, ClassConfig(name="chat", default=True))))
    answer = b"".join(await answering)
    assert called.held == len(answer)  # what is answered is counted while it grows
    response = pb.RouteBatchResponse.FromString(answer)
    first, last = response.results[0], response.results[-1]
    cells = [response.routes[result.route].cell for result in (first, last)]
    assert [cell.traffic_class for cell in cells] == ["chat", "blue"]
