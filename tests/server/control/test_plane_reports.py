"""What callers and workers report to a control plane: each outcome counts once or is refused."""

from pathlib import Path

from server.routing.decision_id import Sealer
from tests.server.control.planes import BOTH
from tests.server.control.served import (
    Worker,
    control_plane,
    serving,
)
from tests.server.control.told import (
    KEY,
    NOW_S,
    decision_id,
    service,
    usage,
)
from turnout.v1 import control_pb2 as pb
from turnout.v1.admin_pb2 import (
    GetServerInfoRequest,
)
from turnout.v1.routing_pb2 import Attempt, Outcome


async def test_each_outcome_is_counted_or_refused_by_itself(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    sealed = decision_id()
    outcomes = [
        Outcome(decision_id=sealed, usage=usage()),
        Outcome(decision_id="forged", usage=usage()),
        Outcome(decision_id=sealed, usage=usage()),
    ]
    async with serving(plane, tmp_path) as served:
        results = await Worker(served.channel).client.settle(outcomes)
    assert [result.reason for result in results] == ["", "DECISION_INVALID", "USAGE_DUPLICATE"]
    assert all(result.message for result in results[1:])


async def test_an_outcome_that_names_a_model_that_is_not_is_refused_by_its_place(
    tmp_path: Path,
) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    sealed = decision_id()
    outcomes = [
        Outcome(decision_id=sealed, usage=usage(), attempts=[Attempt(model=name)])
        for name in ("smal", "small")
    ]
    async with serving(plane, tmp_path) as served:
        wrong, right = await Worker(served.channel).client.settle(outcomes)
    assert wrong.reason == "REQUEST_INVALID"
    assert wrong.message.startswith("attempts[0].model: there is no model 'smal'")
    assert right.reason == ""


async def test_a_report_that_is_told_again_is_counted_once(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    sealer = Sealer(KEY, 1)
    ids = [decision_id(sealer=sealer) for _ in range(3)]
    outcomes = [Outcome(decision_id=each, usage=usage()) for each in ids]
    async with serving(plane, tmp_path) as served:
        client = Worker(served.channel).client
        first = await client.settle(outcomes[:2])  # the piece that came through
        again = await client.settle(outcomes)
    assert [result.reason for result in first] == ["", ""]
    assert [result.reason for result in again] == ["USAGE_DUPLICATE", "USAGE_DUPLICATE", ""]


def test_callers_are_served_where_a_worker_says_so_whatever_others_have_not_said(
    tmp_path: Path,
) -> None:
    plane = control_plane(tmp_path, service(), clock=lambda: NOW_S)
    for worker, address in (("w0", ""), ("w1", "127.0.0.1:7080")):
        told = pb.PushStatsRequest(worker=worker, boot=worker, sequence=1, data_address=address)
        plane.push(told)
    assert plane.data_address() == "127.0.0.1:7080"


async def test_operators_see_which_workers_push(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0), clock=lambda: NOW_S)
    async with serving(plane, tmp_path) as served:
        nobody = await served.admin.GetServerInfo(GetServerInfoRequest())
        await Worker(served.channel).push(*BOTH)
        one = await served.admin.GetServerInfo(GetServerInfoRequest())
    assert (nobody.version, nobody.data_address, list(nobody.workers)) == ("0.1.0", "", [])
    assert one.data_address == "127.0.0.1:7080"
    (worker,) = one.workers
    assert (worker.name, worker.decided) == ("w0", 40)
    assert worker.last_push == one.started
