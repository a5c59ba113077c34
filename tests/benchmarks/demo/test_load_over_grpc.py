"""The traffic, against a routing service that knows the labels."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from benchmarks.demo.asking import load_of
from benchmarks.demo.digits import Digits, Part
from benchmarks.demo.load import Load, Stream
from benchmarks.demo.model_server import image_of
from server.routing.errors import Shed
from server.rpc.errors import status_of
from server.wire import oip_pb2 as oip
from turnout import AsyncClient, RetryPolicy
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc as pb_grpc

RATE_PER_S = 200.0
Refusal = tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]


class Oracle(pb_grpc.RoutingServiceServicer):
    """Answers each image with its label and wants every report; image 0 gets a refusal."""

    def __init__(self, part: Part) -> None:
        self.grades: dict[str, float] = {}
        self.counts = True
        self.refusal: Refusal = (grpc.StatusCode.INVALID_ARGUMENT, "not this one", ())
        self._rows = {tuple(image): row for row, image in enumerate(part.images.tolist())}
        self._part = part

    async def Route(
        self,
        request: pb.RouteRequest,
        context: grpc.aio.ServicerContext[pb.RouteRequest, pb.RouteResponse],
    ) -> pb.RouteResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the demo infers")

    async def RouteBatch(
        self,
        request: pb.RouteBatchRequest,
        context: grpc.aio.ServicerContext[pb.RouteBatchRequest, pb.RouteBatchResponse],
    ) -> pb.RouteBatchResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the demo infers")

    async def Infer(
        self,
        request: pb.InferRequest,
        context: grpc.aio.ServicerContext[pb.InferRequest, pb.InferResponse],
    ) -> pb.InferResponse:
        image = image_of(oip.ModelInferRequest.FromString(request.oip_request))
        row = self._rows[tuple(image[0].tolist())]
        if row == 0:
            await context.abort(*self.refusal)
        answer = oip.ModelInferResponse()
        digit = self._part.labels[row] if row != 1 else 9 - self._part.labels[row]
        answer.outputs.add(name="digit").contents.int64_contents.append(int(digit))
        return pb.InferResponse(
            oip_response=answer.SerializeToString(), decision_id=str(row), report_wanted=row < 4
        )

    async def InferStream(
        self,
        request: pb.InferStreamRequest,
        context: grpc.aio.ServicerContext[pb.InferStreamRequest, pb.InferStreamResponse],
    ) -> AsyncIterator[pb.InferStreamResponse]:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the demo infers")
        yield pb.InferStreamResponse()

    async def Report(
        self,
        request: pb.ReportRequest,
        context: grpc.aio.ServicerContext[pb.ReportRequest, pb.ReportResponse],
    ) -> pb.ReportResponse:
        for outcome in request.outcomes:
            self.grades[outcome.decision_id] = outcome.feedback[0].value
        result = pb.OutcomeResult() if self.counts else pb.OutcomeResult(reason="NO", message="no")
        return pb.ReportResponse(results=[result] * len(request.outcomes))


@pytest.fixture
def oracle(digits: Digits) -> Oracle:
    return Oracle(few(digits))


def few(digits: Digits) -> Part:
    return Part(digits.held_out.images[:6], digits.held_out.labels[:6])


@pytest.fixture
async def load(oracle: Oracle, digits: Digits) -> AsyncIterator[Load]:
    server = grpc.aio.server()
    pb_grpc.add_RoutingServiceServicer_to_server(oracle, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    once = RetryPolicy(attempts_max=1)
    async with AsyncClient(f"127.0.0.1:{port}", retry=once) as client:
        yield load_of(client, few(digits), [Stream("bulk", RATE_PER_S, seed=1)])
    await server.stop(None)


async def run_until_each_image_came(load: Load) -> None:
    traffic = asyncio.create_task(load.run())
    await asyncio.wait_for(load.answering.wait(), 10)
    await load.between(0, 12 / RATE_PER_S)
    load.stop()
    await traffic


async def test_every_request_that_was_due_has_an_answer_or_a_failure(load: Load) -> None:
    traffic = asyncio.create_task(load.run())
    await asyncio.wait_for(load.answering.wait(), 10)
    served = await load.between(0, 0.1)
    load.stop()
    await traffic
    assert all(one.arrival.due_s < 0.1 for one in served)
    due = [one for one in load.served if one.arrival.due_s < 0.1]
    assert sorted(due, key=id) == sorted(served, key=id)
    assert all((one.answer is None) == bool(one.failure) for one in served)


async def test_answers_are_graded_by_the_true_labels(load: Load) -> None:
    await run_until_each_image_came(load)
    verdicts = {one.arrival.item: one.right for one in load.served if one.answer}
    assert {1: verdicts.pop(1)} == {1: False}
    assert set(verdicts.values()) == {True}


async def test_a_refused_request_is_a_failure_and_the_traffic_goes_on(load: Load) -> None:
    await run_until_each_image_came(load)
    failures = {one.arrival.item: one.failure for one in load.served if one.failure}
    assert failures.keys() == {0}
    assert "not this one" in failures[0]


async def test_a_request_that_is_shed_is_told_from_one_that_fails(
    load: Load, oracle: Oracle
) -> None:
    error = Shed("bulk", 0.5, "capacity of svc")
    status = status_of(error).SerializeToString()
    details = (("grpc-status-details-bin", status),)
    oracle.refusal = (grpc.StatusCode.UNAVAILABLE, str(error), details)
    await run_until_each_image_came(load)
    assert {one.is_shed for one in load.served if one.arrival.item == 0} == {True}
    assert {one.is_shed for one in load.served if one.arrival.item != 0} == {False}
    assert all("capacity of svc" in one.failure for one in load.served if one.is_shed)


async def test_a_stream_that_is_added_is_sent_too(load: Load) -> None:
    traffic = asyncio.create_task(load.run())
    await asyncio.wait_for(load.answering.wait(), 10)
    load.add(Stream("strict", RATE_PER_S, seed=2, from_s=load.now_s()))
    served = await load.between(0, load.now_s() + 0.2)
    load.stop()
    await traffic
    assert {one.arrival.traffic_class for one in served} == {"bulk", "strict"}


async def test_grades_are_reported_for_the_decisions_that_want_it(
    load: Load, oracle: Oracle
) -> None:
    await run_until_each_image_came(load)
    assert oracle.grades == {"1": 0.0, "2": 1.0, "3": 1.0}
    assert load.take_refused() == []


async def test_a_report_that_was_not_counted_is_told_once(load: Load, oracle: Oracle) -> None:
    oracle.counts = False
    await run_until_each_image_came(load)
    assert set(load.take_refused()) == {"no"}
    assert load.take_refused() == []
