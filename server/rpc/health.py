"""grpc.health.v1 of the data listener: says which services can answer, and when that changes."""

import asyncio
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc

from server.routing.catalog import PayloadKind
from server.routing.readiness import NOBODY, Readiness
from server.rpc.errors import Context
from server.rpc.reflection import REFLECTION
from server.wire import oip_pb2
from turnout.v1 import routing_pb2

ROUTING = routing_pb2.DESCRIPTOR.services_by_name["RoutingService"].full_name
OIP = oip_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
HEALTH = pb.DESCRIPTOR.services_by_name["Health"].full_name
# Serves as long as the process runs, whether or not a model can answer.
LIVENESS = "turnout.live"
# "turnout.class/support": something of it can be answered; "turnout.class/support/tensors": that.
CLASS_PREFIX = "turnout.class/"
# Woken in one turn of the loop: ten take half a millisecond, and every stream may be a watcher.
WOKEN_AT_ONCE = 20

# A class has a status for each.
_KINDS = (PayloadKind.TEXT, PayloadKind.TENSORS, PayloadKind.EMBEDDINGS)
_SERVING, _NOT_SERVING, _UNKNOWN = (
    pb.HealthCheckResponse.SERVING,
    pb.HealthCheckResponse.NOT_SERVING,
    pb.HealthCheckResponse.SERVICE_UNKNOWN,
)


def statuses(ready: Readiness) -> Mapping[str, bool]:
    """Which services serve, by the names that callers may ask for."""
    answers_some = bool(ready.kinds)
    serving = {
        "": answers_some,
        ROUTING: answers_some,
        OIP: PayloadKind.TENSORS in ready.forwarded,
        HEALTH: True,
        **dict.fromkeys(REFLECTION, True),
    }
    for name in ready.classes:
        serving[CLASS_PREFIX + name] = answers_some
        for kind in _KINDS:
            serving[f"{CLASS_PREFIX}{name}/{kind}"] = kind in ready.kinds
    return serving


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Says what was published last. Nobody waits for a watcher that does not read."""

    def __init__(self) -> None:
        self.ready = NOBODY
        self._serving = dict.fromkeys(statuses(NOBODY), False)
        self._is_draining = False
        self._watchers: set[asyncio.Event] = set()

    def publish(self, ready: Readiness) -> None:
        """Puts a readiness in force and tells all that watch; once it drains it does neither."""
        if not self._is_draining and ready != self.ready:
            self.ready, self._serving = ready, dict(statuses(ready))
            _wake(list(self._watchers))

    def drain(self) -> None:
        """Says that nothing is ready from now on; watches are told so, and end."""
        self._is_draining = True
        self.ready, self._serving = NOBODY, dict.fromkeys(self._serving, False)
        _wake(list(self._watchers))

    async def Check(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> pb.HealthCheckResponse:
        status = self._status(request.service)
        if status == _UNKNOWN:
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f'no such service: "" is all, {CLASS_PREFIX}NAME a class, {LIVENESS} the process',
            )
        return pb.HealthCheckResponse(status=status)

    async def Watch(self, request: pb.HealthCheckRequest, context: Context) -> None:
        changed, told = asyncio.Event(), None
        self._watchers.add(changed)
        try:
            while True:
                changed.clear()
                status = self._status(request.service)
                if status != told:
                    await context.write(pb.HealthCheckResponse(status=status))
                    told = status
                elif self._is_draining:
                    return
                else:
                    await changed.wait()
        finally:
            self._watchers.discard(changed)

    def _status(self, service: str) -> int:
        if service == LIVENESS:
            return _SERVING
        serving = self._serving.get(service)
        if serving is None:
            return _UNKNOWN
        return _SERVING if serving else _NOT_SERVING


def _wake(asleep: list[asyncio.Event]) -> None:
    """Wakes a few at a time, so that other calls have their turns between."""
    for event in asleep[-WOKEN_AT_ONCE:]:
        event.set()
    del asleep[-WOKEN_AT_ONCE:]
    if asleep:
        asyncio.get_running_loop().call_soon(_wake, asleep)
