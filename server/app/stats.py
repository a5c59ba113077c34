"""What a worker tells its control plane: counters that only ever grow, and its endpoints."""

from collections.abc import Mapping

from server.control.cell_stats import cell_stats
from server.routing.counters import Counters, Leg
from server.routing.router import Router
from server.transport.limit_names import CHANNEL_PREFIX
from server.transport.server import Server
from turnout.v1 import control_pb2 as pb


def push_request(
    counters: Counters,
    router: Router,
    touched: list[Leg],
    *,
    boot: str,
    sequence: int,
    data_address: str,
) -> pb.PushStatsRequest:
    """Everything that was touched since the last push that was answered."""
    return pb.PushStatsRequest(
        boot=boot,
        sequence=sequence,
        data_address=data_address,
        cells=[cell_stats(leg, counters.get(leg)) for leg in touched],
        endpoints=_endpoint_stats(router),
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


def _limits(reached: Mapping[str, int]) -> list[pb.LimitStats]:
    return [pb.LimitStats(limit=name, count=count) for name, count in reached.items()]


def _endpoint_stats(router: Router) -> list[pb.EndpointStats]:
    names = [model.name for model in router.models()]
    return [
        pb.EndpointStats(
            model=names[index],
            address=address,
            ejected=router.health.is_ejected((index, address)),
            in_flight=load.in_flight,
        )
        for (index, address), load in router.endpoints.loads.items()
    ]
