"""What a worker tells its control plane: counters that only ever grow, and its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict, Unpack

from server.control.cell_messages import cell_stats
from server.routing.counters import Counters, Leg
from server.routing.router import Router
from server.transport.limit_names import CHANNEL_PREFIX, DOOR_PREFIX
from server.transport.serving.server import Server
from turnout.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from server.door.door import Door


class Header(TypedDict):
    """What tells pushes apart, by the names of PushStatsRequest."""

    boot: str
    sequence: int
    began_epoch: int
    epoch: int
    more: bool


class Pushes:
    """Numbers the pushes of one boot, and knows when everything has to be pushed."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._sequence = 0
        self._began_epoch = 0
        self._epoch = 0

    def follow(self, epoch: int) -> bool:
        """True for another start of the control plane than before: it may know nothing."""
        is_other = epoch != self._epoch
        self._epoch = epoch
        self._began_epoch = self._began_epoch or epoch
        return is_other

    def next(self, *, more: bool) -> Header:
        """Of one more push."""
        self._sequence += 1
        return Header(
            boot=self._boot,
            sequence=self._sequence,
            began_epoch=self._began_epoch,
            epoch=self._epoch,
            more=more,
        )


def push_request(
    counters: Counters,
    router: Router,
    touched: list[Leg],
    *,
    data_address: str,
    now_s: float,
    **header: Unpack[Header],
) -> pb.PushStatsRequest:
    """What was touched since the last push that was answered."""
    return pb.PushStatsRequest(
        data_address=data_address,
        **header,
        cells=[cell_stats(leg, counters.get(leg)) for leg in touched],
        endpoints=_endpoint_stats(router, now_s),
        refusals=[pb.RefusalStats(reason=r, count=n) for r, n in counters.refusals()],
        kept=[pb.KeptRequest(**text._asdict()) for text in router.recent_texts.take()],
    )


def tell_transport(
    request: pb.PushStatsRequest, server: Server | None, channels: Mapping[str, int]
) -> None:
    """Adds what came of connections; `channels` are limits reached towards endpoints."""
    if server is not None:
        request.listener.connections = server.connections
        request.listener.calls = server.calls
        request.limits_reached.extend(_limits(server.limits_reached))
    request.limits_reached.extend(_limits({CHANNEL_PREFIX + k: n for k, n in channels.items()}))


def tell_door(request: pb.PushStatsRequest, door: Door) -> None:
    """Adds what came of the connections of OpenAI clients."""
    request.listener.connections += door.connections
    request.listener.calls += door.requests
    reached = {DOOR_PREFIX + name: count for name, count in door.limits_reached.items()}
    request.limits_reached.extend(_limits(reached))


def _limits(reached: Mapping[str, int]) -> list[pb.LimitStats]:
    return [pb.LimitStats(limit=name, count=count) for name, count in reached.items()]


def _endpoint_stats(router: Router, now_s: float) -> list[pb.EndpointStats]:
    names = [model.name for model in router.models()]
    return [
        pb.EndpointStats(
            model=names[index],
            address=address,
            ejected=router.health.is_ejected((index, address)),
            in_flight=load.in_flight,
            attempts=load.attempts,
            ejected_s=router.health.ejection_left_s((index, address), now_s=now_s),
        )
        for (index, address), load in router.endpoints.loads.items()
    ]
