"""Fills what a long load would fill in the end: a table that has a bound is no leak."""

from benchmarks.soak.callers import REPORT, ROUTE_BATCH
from benchmarks.soak.clients import DEADLINE_S, Ours
from benchmarks.soak.stage import KEPT
from benchmarks.soak.tally import Fault, Tally
from server.control.outcomes import REMEMBERED_MAX
from turnout.v1 import routing_pb2 as pb

_BATCH = 10_000  # as many as there may be in one
_REPORTED_AT_ONCE = 1_000


async def report_many(address: str, tally: Tally, count: int = REMEMBERED_MAX) -> None:
    """So many decisions, each reported once; raises Fault or Refused."""
    client = Ours(address)
    for _ in range(-(-count // _BATCH)):
        ids = await _decided(client, min(count, _BATCH))
        tally.decided += len(ids)
        for begin in range(0, len(ids), _REPORTED_AT_ONCE):
            await _report(client, ids[begin : begin + _REPORTED_AT_ONCE])
    await client.close()


async def _decided(client: Ours, count: int) -> list[str]:
    """Their decision ids."""
    request = pb.RouteRequest(context=pb.RequestContext(traffic_class=KEPT))
    batch = pb.RouteBatchRequest(requests=[request] * count).SerializeToString()
    answer = await client.unary(ROUTE_BATCH, batch, DEADLINE_S)
    results = pb.RouteBatchResponse.FromString(answer).results
    return [result.decision_id for result in results]


async def _report(client: Ours, ids: list[str]) -> None:
    usage = pb.Usage(input_tokens=10, output_tokens=1)
    outcomes = [pb.Outcome(decision_id=one, usage=usage) for one in ids]
    request = pb.ReportRequest(outcomes=outcomes).SerializeToString()
    answer = await client.unary(REPORT, request, DEADLINE_S)
    refused = [one.reason for one in pb.ReportResponse.FromString(answer).results if one.reason]
    if refused:
        raise Fault(f"{len(refused)} outcomes were not counted, the first as {refused[0]}")
