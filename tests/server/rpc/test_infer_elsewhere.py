"""An Infer whose first endpoint hangs, over real connections."""

import asyncio

import pytest

from server.routing.counters import Leg
from server.wire import oip_pb2
from tests.server.rpc.service import CELL, running
from turnout.v1 import routing_pb2 as pb

TENSORS = oip_pb2.ModelInferRequest(id="r1").SerializeToString()


@pytest.mark.parametrize("transport", ["grpcio", "turnout"])
async def test_an_endpoint_that_hangs_is_given_up_and_another_answers(transport: str) -> None:
    async with running(transport=transport) as service:
        service.small.behaviour = service.small.held
        answer = await service.routing.Infer(pb.InferRequest(oip_request=TENSORS), timeout=1)
        assert (answer.target.model, answer.attempts) == ("large", 2)
        async with asyncio.timeout(10):
            await service.small.cancelled.wait()
        counts = service.counters.get(Leg(CELL, "small", "small"))
        assert (counts.attempts, counts.answered, counts.completed, counts.failed) == (1, 0, 1, 0)


@pytest.mark.parametrize("transport", ["grpcio", "turnout"])
async def test_a_call_of_the_open_inference_protocol_moves_on_as_well(transport: str) -> None:
    async with running(transport=transport) as service:
        service.small.behaviour = service.small.held
        request = oip_pb2.ModelInferRequest(model_name="chat", id="r1")
        answer = await service.oip.ModelInfer(request, timeout=1)
        assert answer.model_name == "large"
