"""What a worker tells its control plane: counters that only ever grow, and its endpoints."""

from server.routing.catalog import Cell
from server.routing.counters import CellCounts, Counters
from server.routing.router import Router
from turnout.v1 import control_pb2 as pb
from turnout.v1.routing_pb2 import Cell as CellMessage

Key = tuple[Cell, str]


def push_request(
    counters: Counters,
    router: Router,
    touched: list[Key],
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
        cells=[_cell_stats(key, counters.get(key)) for key in touched],
        endpoints=_endpoint_stats(router),
        refusals=[pb.RefusalStats(reason=r, count=n) for r, n in counters.refusals()],
        kept=[pb.KeptRequest(**text._asdict()) for text in router.recent_texts.take()],
    )


def _cell_stats(key: Key, counts: CellCounts) -> pb.CellStats:
    cell, model = key
    return pb.CellStats(
        cell=CellMessage(
            traffic_class=cell.traffic_class,
            payer=cell.payer,
            domain=cell.domain,
            size_bucket=cell.size_bucket,
        ),
        model=model,
        decided=counts.decided,
        completed=counts.completed,
        failed=counts.failed,
        slo_missed=counts.slo_missed,
        attempts=counts.attempts,
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        busy_s=counts.busy_s,
        cost_nano_usd=counts.cost_nano_usd,
        latency_counts=counts.latency_counts,
    )


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
