"""An Infer whose first endpoint hangs, over real connections."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest

from server.config.classes import ClassConfig, SloConfig
from server.routing.counters import Leg
from server.wire import oip_pb2
from tests.server.rpc.service import CELL, Service, running, service_config
from turnout.v1 import routing_pb2 as pb

PATIENCE_S = 20.0
HASTY = ClassConfig(name="chat", default=True, slo=SloConfig(ms=50, fraction=0.9))


@pytest.fixture(params=["grpcio", "turnout"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    async with running(transport=request.param, now_s=time.monotonic) as made:
        given = service_config(made.small, made.large)
        made.router.configure(given.model_copy(update={"classes": (HASTY,)}))
        made.small.behaviour = made.small.held
        yield made


async def test_an_endpoint_that_hangs_is_given_up_and_another_answers(service: Service) -> None:
    tensors = oip_pb2.ModelInferRequest(id="r1").SerializeToString()
    answer = await service.routing.Infer(pb.InferRequest(oip_request=tensors), timeout=PATIENCE_S)
    assert (answer.target.model, answer.attempts) == ("large", 2)
    async with asyncio.timeout(PATIENCE_S):
        await service.small.cancelled.wait()
    counts = service.counters.get(Leg(CELL, "small", "small"))
    assert (counts.attempts, counts.answered, counts.completed, counts.failed) == (1, 0, 1, 0)


async def test_a_call_of_the_open_inference_protocol_moves_on_as_well(service: Service) -> None:
    request = oip_pb2.ModelInferRequest(model_name="chat", id="r1")
    answer = await service.oip.ModelInfer(request, timeout=PATIENCE_S)
    assert answer.model_name == "large"


async def test_calls_that_an_endpoint_never_answers_are_all_counted_and_it_is_ejected(
    service: Service,
) -> None:
    # It speaks HTTP/2, so it answers PINGs; there is no other, and callers leave at their deadline.
    alone = service_config(service.small, service.large)
    models = [alone.models[0], *(m.model_copy(update={"enabled": False}) for m in alone.models[1:])]
    chat = ClassConfig(name="chat", default=True, deadline_s=2)  # so that a second is long
    service.router.configure(alone.model_copy(update={"models": tuple(models), "classes": (chat,)}))
    tensors = oip_pb2.ModelInferRequest(id="r1").SerializeToString()
    calls = [
        service.routing.Infer(pb.InferRequest(oip_request=tensors), timeout=1) for _ in range(50)
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(PATIENCE_S):
        while service.router.endpoints.loads[0, service.small.address].in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    counts = service.counters.get(Leg(CELL, "small", "small"))
    assert counts.attempts == counts.ended == counts.failed == 50
    assert service.router.health.is_ejected((0, service.small.address))
