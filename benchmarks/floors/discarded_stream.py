"""The least that receiving a plan could cost: the same bytes taken off the stream and dropped."""

from grpc.aio import Channel, UnaryStreamMultiCallable

from server.control.protocol import PROTOCOL
from turnout.v1.control_pb2 import WatchPlanRequest


class DiscardedStream:
    """Counts the parts that came."""

    def __init__(self, channel: Channel) -> None:
        self._watch: UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            "/turnout.v1.ControlService/WatchPlan"
        )
        self.parts = 0

    async def follow(self) -> None:
        """Never ends."""
        request = WatchPlanRequest(protocol=PROTOCOL, worker="floor").SerializeToString()
        async for _ in self._watch(request):
            self.parts += 1
