"""Held-out images, asked about through the client library and graded by their true labels."""

from collections.abc import Iterable

from benchmarks.demo.digits import PIXELS, Images, Part
from benchmarks.demo.load import SHED, Arrival, Load, Reply, Stream
from server.wire import oip_pb2 as oip
from turnout import AsyncClient, Outcome, TurnoutError


def request_of(image: Images) -> bytes:
    """An image as any OIP client would send it; the model's name is Turnout's to set."""
    request = oip.ModelInferRequest()
    tensor = request.inputs.add(name="pixels", datatype="FP32", shape=[1, PIXELS])
    tensor.contents.fp32_contents.extend(image.tolist())
    return request.SerializeToString()


def load_of(client: AsyncClient, part: Part, streams: Iterable[Stream]) -> Load:
    """The images of this part as traffic."""
    requests = [request_of(image) for image in part.images]

    async def ask(arrival: Arrival) -> Reply:
        labels = {"app": arrival.traffic_class}
        try:
            answer = await client.infer(requests[arrival.item], labels=labels)
        except TurnoutError as error:
            is_shed = error.reason == SHED
            return Reply(failure=error.message if is_shed else str(error), is_shed=is_shed)
        digit = answer.parse(oip.ModelInferResponse).outputs[0].contents.int64_contents[0]
        right = bool(digit == part.labels[arrival.item])
        grade = Outcome(decision_id=answer.decision_id, quality=float(right))
        return Reply(answer, right, grade=grade if answer.report_wanted else None)

    return Load(ask, client, streams, items=len(part))
