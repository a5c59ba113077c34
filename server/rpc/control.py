"""turnout.v1.ControlService: what workers call. No decision is taken here.

Workers run as the same user, but callers decide how much a worker has to say: so its parts are
counted before they are parsed.
"""

from collections.abc import AsyncIterator, Mapping

from google.protobuf.message import Message

from server.control.plane import ControlPlane
from server.control.protocol import check_protocol
from server.rpc.errors import Context
from server.rpc.malformed import parsed
from server.rpc.raw import raw
from server.rpc.shapes import OUTCOMES_MAX, Repeated, Shape, hold_shape
from server.rpc.turns import turn_of
from server.rpc.wire import Bytes, tag
from turnout.v1 import control_pb2 as pb
from turnout.v1 import control_pb2_grpc

# A worker pushes 200 cells at once, 100 texts, some 50 counts and the uses of 1,000 keys; its
# endpoints it pushes all.
PUSHED_MAX = 1_000
# An outcome of eight attempts takes 0.3 ms.
SETTLED_AT_A_STRETCH = 30
_STEPS_A_PART = 2  # its tag, and a length of more than 127 bytes
_SETTLE_STEPS_MAX = _STEPS_A_PART * OUTCOMES_MAX + 100
# Enough for all endpoints that 200 models can have. To take so many steps takes 30 ms.
_PUSH_STEPS_MAX = 100_000


def _counted(most: Mapping[str, int], message: type[Message]) -> Shape:
    """Counts fields of the message itself, and does not look into them."""
    return Shape(
        {},
        {
            tag(message.DESCRIPTOR.fields_by_name[name].number): (
                name,
                Repeated(count, f"more than {count:,}: send them in several calls"),
            )
            for name, count in most.items()
        },
    )


_SETTLED = _counted({"outcomes": OUTCOMES_MAX}, pb.SettleRequest)
_PUSHED = _counted(
    dict.fromkeys(("cells", "refusals", "kept", "limits_reached", "keys_used"), PUSHED_MAX),
    pb.PushStatsRequest,
)


class ControlServicer(control_pb2_grpc.ControlServiceServicer):
    """Between the workers and the control plane of one service."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def WatchPlan(
        self, request: pb.WatchPlanRequest, context: Context
    ) -> AsyncIterator[pb.WatchPlanResponse]:
        check_protocol(request.protocol)
        async for part in self._plane.watch():
            yield part

    async def WatchKeys(
        self, request: pb.WatchKeysRequest, context: Context
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        check_protocol(request.protocol)
        async for told in self._plane.keys.watch():
            yield told

    @raw
    async def PushStats(self, data: Bytes, context: Context) -> bytes:  # type: ignore[override]
        hold_shape(data, _PUSHED, _PUSH_STEPS_MAX)
        request = parsed(data, pb.PushStatsRequest.FromString)
        check_protocol(request.protocol)
        self._plane.push(request)
        return pb.PushStatsResponse().SerializeToString()

    @raw
    async def Settle(self, data: Bytes, context: Context) -> bytes:  # type: ignore[override]
        hold_shape(data, _SETTLED, _SETTLE_STEPS_MAX)
        request = parsed(data, pb.SettleRequest.FromString)
        check_protocol(request.protocol)
        response, turn = pb.SettleResponse(), turn_of(context)
        for begin in range(0, len(request.outcomes), SETTLED_AT_A_STRETCH):
            piece = request.outcomes[begin : begin + SETTLED_AT_A_STRETCH]
            response.results.extend(self._plane.settle(piece))
            await turn()
        return response.SerializeToString()
