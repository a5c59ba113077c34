import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from server.control.reload import Reloads
from server.control.update_log import read_log
from server.rpc.admin import AdminServicer
from server.rpc.author import OPERATOR_CHARS_MAX, OPERATOR_KEY
from server.rpc.errors import ErrorAnswering
from tests.server.control.served import Served, Worker, control_plane, files_in, serving
from tests.server.control.told import CODE, answered, service
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import admin_pb2_grpc as pb_grpc


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(control_plane(tmp_path, service(window_s=3_600.0)), tmp_path) as found:
        yield found


async def updates(served: Served) -> list[pb.ConfigUpdate]:
    return list((await served.admin.ListUpdates(pb.ListUpdatesRequest())).updates)


async def set_budget(served: Served, amount_usd: float, operator: str = "anna") -> None:
    request = pb.UpdateBudgetRequest(budget=pb.Budget(name="team", amount_usd=amount_usd))
    await served.admin.UpdateBudget(request, metadata=((OPERATOR_KEY, operator),))


async def test_an_update_is_kept_with_who_asked_and_what_it_was_before(served: Served) -> None:
    before = served.plane.config.budgets[0].amount_usd
    await set_budget(served, 12.0)
    (found,) = await updates(served)
    assert (found.who, found.operator) == (f"uid {os.geteuid()}", "anna")
    (change,) = found.changes
    assert change.path == "budgets.team.amount_usd"
    assert (float(change.before), float(change.after)) == (before, 12.0)
    assert found.time.ToNanoseconds() > 0


async def test_updates_of_models_and_classes_are_kept_too_the_newest_first(served: Served) -> None:
    drained = pb.Model(name="small", enabled=False)
    await served.admin.UpdateModel(
        pb.UpdateModelRequest(model=drained, update_mask=FieldMask(paths=["enabled"]))
    )
    floor = pb.TrafficClass(name="code", floor=0.8)
    await served.admin.UpdateClass(
        pb.UpdateClassRequest(traffic_class=floor, update_mask=FieldMask(paths=["floor"]))
    )
    paths = [[change.path for change in update.changes] for update in await updates(served)]
    assert paths == [["classes.code.floor"], ["models.small.enabled"]]


async def test_an_update_that_is_refused_is_not_kept(served: Served, tmp_path: Path) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await set_budget(served, -1.0)
    assert await updates(served) == []
    assert not files_in(tmp_path).updates.exists()


async def test_an_update_that_changes_nothing_is_not_kept(served: Served) -> None:
    await set_budget(served, 12.0)
    await set_budget(served, 12.0)
    assert len(await updates(served)) == 1


async def test_what_is_answered_is_on_the_disk(served: Served, tmp_path: Path) -> None:
    await set_budget(served, 12.0)
    assert len(read_log(files_in(tmp_path).updates).newest_first()) == 1


async def test_what_an_operator_says_of_itself_is_cut(served: Served) -> None:
    await set_budget(served, 12.0, operator="x" * 1_000)
    assert (await updates(served))[0].operator == "x" * OPERATOR_CHARS_MAX


async def test_classes_are_listed_as_they_are_promised_now(served: Served) -> None:
    floor = pb.TrafficClass(name="code", floor=0.8)
    await served.admin.UpdateClass(
        pb.UpdateClassRequest(traffic_class=floor, update_mask=FieldMask(paths=["floor"]))
    )
    classes = (await served.admin.ListClasses(pb.ListClassesRequest())).classes
    assert [one.name for one in classes] == [one.name for one in served.plane.config.classes]
    assert classes[0].floor == 0.8


async def test_budgets_are_listed_with_what_they_have_spent(served: Served) -> None:
    await Worker(served.channel).push(answered(CODE, "small", 10))
    (team,) = (await served.admin.ListBudgets(pb.ListBudgetsRequest())).budgets
    config = served.plane.config.budgets[0]
    assert (team.budget.name, team.budget.period) == (config.name, config.period)
    assert team.spent_nano_usd == 10_000_000


async def test_over_tcp_the_address_that_showed_the_token_is_kept(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0))
    server = grpc.aio.server()
    ErrorAnswering(server, plane.count_refusal).add(
        pb_grpc.add_AdminServiceServicer_to_server,
        AdminServicer(plane, Reloads(plane), version="0.1.0"),
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        admin = pb_grpc.AdminServiceStub(channel)
        budget = pb.Budget(name="team", amount_usd=12.0)
        await admin.UpdateBudget(pb.UpdateBudgetRequest(budget=budget))
        (found,) = (await admin.ListUpdates(pb.ListUpdatesRequest())).updates
    await server.stop(None)
    assert (found.who, found.operator) == ("token from 127.0.0.1", "")


HOSTED = pb.Model(
    name="hosted",
    protocol="openai",
    endpoints=["https://a.example/v1"],
    enabled=True,
    api_key_env="A_KEY",
    price=pb.Price(request_usd=1.0),
    prior_accuracy=0.5,
)


async def test_a_model_moves_with_a_key_that_is_named_again_and_told_to_nobody(
    served: Served,
) -> None:
    added = await served.admin.UpdateModel(pb.UpdateModelRequest(model=HOSTED, allow_missing=True))
    assert not added.model.HasField("api_key_env")
    moved = pb.Model(name="hosted", endpoints=["https://b.example/v1"], api_key_env="B_KEY")
    alone = pb.UpdateModelRequest(model=moved, update_mask=FieldMask(paths=["endpoints"]))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.admin.UpdateModel(alone)
    assert "model.endpoints: would send what api_key_env names" in (refused.value.details() or "")
    both = pb.UpdateModelRequest(
        model=moved, update_mask=FieldMask(paths=["endpoints", "api_key_env"])
    )
    await served.admin.UpdateModel(both)
    found = served.plane.config.models[-1]
    assert (found.endpoints, found.api_key_env) == (("https://b.example/v1",), "B_KEY")
    listed = await served.admin.ListModels(pb.ListModelsRequest())
    assert "B_KEY" not in str(listed)
    assert "B_KEY" not in str(await updates(served))


async def test_an_update_without_a_mask_leaves_a_key_that_is_not_said(served: Served) -> None:
    await served.admin.UpdateModel(pb.UpdateModelRequest(model=HOSTED, allow_missing=True))
    again = pb.Model()
    again.CopyFrom(HOSTED)
    again.ClearField("api_key_env")
    again.version = "2"
    await served.admin.UpdateModel(pb.UpdateModelRequest(model=again))
    found = served.plane.config.models[-1]
    assert (found.version, found.api_key_env) == ("2", "A_KEY")
