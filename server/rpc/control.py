"""turnout.v1.ControlService: what workers call. No decision is taken here."""

from collections.abc import AsyncIterator

from server.control.plane import ControlPlane
from server.control.protocol import check_protocol
from server.rpc.errors import Context
from turnout.v1 import control_pb2 as pb
from turnout.v1 import control_pb2_grpc


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

    async def PushStats(
        self, request: pb.PushStatsRequest, context: Context
    ) -> pb.PushStatsResponse:
        check_protocol(request.protocol)
        self._plane.push(request)
        return pb.PushStatsResponse()

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:
        check_protocol(request.protocol)
        return pb.SettleResponse(results=self._plane.settle(request.outcomes))
