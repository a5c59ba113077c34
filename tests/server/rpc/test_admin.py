import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from server.config.as_json import from_json
from server.config.schema import Config
from tests.server.control.served import Served, Worker, control_plane, files_in, serving
from tests.server.control.told import CODE, answered, service
from tests.server.rpc.refusal import refusal
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import control_pb2


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(control_plane(tmp_path, service(window_s=3_600.0)), tmp_path) as found:
        yield found


def without_accuracy(name: str) -> pb.Model:
    model = whole_model(name)
    model.ClearField("prior_accuracy")
    return model


def model_update(
    model: pb.Model, *paths: str, allow_missing: bool = False
) -> pb.UpdateModelRequest:
    request = pb.UpdateModelRequest(model=model, allow_missing=allow_missing)
    request.update_mask.paths.extend(paths)
    return request


def class_update(traffic_class: pb.TrafficClass, *paths: str) -> pb.UpdateClassRequest:
    request = pb.UpdateClassRequest(traffic_class=traffic_class)
    request.update_mask.paths.extend(paths)
    return request


def budget_update(budget: pb.Budget, *paths: str) -> pb.UpdateBudgetRequest:
    request = pb.UpdateBudgetRequest(budget=budget)
    request.update_mask.paths.extend(paths)
    return request


def whole_model(name: str) -> pb.Model:
    return pb.Model(
        name=name,
        version="2",
        protocol="oip",
        endpoints=["127.0.0.1:9"],
        enabled=True,
        price=pb.Price(request_usd=0.004),
        capacity=pb.Capacity(concurrent=8.0),
        prior_accuracy=0.9,
        prior_grades=300,
        capabilities=["images"],
    )


async def test_before_the_first_plan_there_is_none(served: Served) -> None:
    response = await served.admin.GetPlan(pb.GetPlanRequest())
    assert not response.HasField("plan")
    assert response.no_plan_reason == ""


async def test_a_service_that_nobody_has_asked_says_that_its_plan_waits_for_a_request(
    served: Served,
) -> None:
    await served.admin.UpdateModel(model_update(pb.Model(name="small"), "enabled"))  # plans at once
    found = await served.answered(lambda found: bool(found.no_plan_reason))
    assert found.no_plan_reason == "nothing has been asked yet"


async def test_models_are_listed_with_what_they_did_and_how_their_endpoints_are(
    served: Served,
) -> None:
    down = control_pb2.EndpointStats(
        model="small", address="127.0.0.1:2", ejected=True, in_flight=3
    )
    await Worker(served.channel).push(answered(CODE, "small", 10), endpoints=[down])
    small, large = (await served.admin.ListModels(pb.ListModelsRequest())).models
    assert (small.model.name, small.requests, small.cost_nano_usd) == ("small", 10, 10_000_000)
    assert [(e.address, e.ejected) for e in small.endpoints] == [
        ("127.0.0.1:1", False),
        ("127.0.0.1:2", True),
    ]
    assert small.in_flight == 3
    assert (large.requests, large.accuracy.grades) == (0, 0.0)
    assert large.accuracy.mean == pytest.approx(0.95)


async def test_only_the_fields_of_the_mask_change(served: Served) -> None:
    model = pb.Model(name="small", price=pb.Price(request_usd=0.5, busy_second_usd=9.0))
    response = await served.admin.UpdateModel(model_update(model, "price.request_usd"))
    assert response.model.price == pb.Price(request_usd=0.5)
    assert (response.model.enabled, response.model.prior_accuracy) == (True, 0.8)


async def test_a_whole_section_of_the_mask_is_replaced(served: Served) -> None:
    limited = pb.Model(name="small", capacity=pb.Capacity(requests_per_s=40.0, concurrent=4.0))
    await served.admin.UpdateModel(model_update(limited, "capacity"))
    freed = pb.Model(name="small", capacity=pb.Capacity(concurrent=5.0))
    response = await served.admin.UpdateModel(model_update(freed, "capacity"))
    assert response.model.capacity == pb.Capacity(concurrent=5.0)


async def test_without_a_mask_every_field_of_a_model_changes(served: Served) -> None:
    response = await served.admin.UpdateModel(model_update(whole_model("small")))
    assert response.model == whole_model("small")


async def test_a_new_model_is_added_at_the_end(served: Served) -> None:
    response = await served.admin.UpdateModel(
        model_update(whole_model("huge"), "enabled", allow_missing=True)
    )
    assert response.model == whole_model("huge")
    listed = (await served.admin.ListModels(pb.ListModelsRequest())).models
    assert [status.model.name for status in listed] == ["small", "large", "huge"]


async def test_allowing_a_missing_model_changes_nothing_of_one_that_is_there(
    served: Served,
) -> None:
    drained = pb.Model(name="small", enabled=False)
    response = await served.admin.UpdateModel(model_update(drained, "enabled", allow_missing=True))
    assert not response.model.enabled
    assert response.model.prior_accuracy == 0.8


async def test_a_class_changes_its_floor_and_its_slo(served: Served) -> None:
    wanted = pb.TrafficClass(name="code", floor=0.9, slo=pb.Slo(ms=50.0, fraction=0.99))
    response = await served.admin.UpdateClass(class_update(wanted, "floor", "slo"))
    assert response.traffic_class.floor == 0.9
    assert response.traffic_class.slo == pb.Slo(metric="total", ms=50.0, fraction=0.99)
    assert response.traffic_class.audit_rate == 0.5


async def test_a_class_changes_what_a_model_may_write(served: Served) -> None:
    wanted = pb.TrafficClass(name="code", output_tokens_max=500)
    await served.admin.UpdateClass(class_update(wanted, "output_tokens_max"))
    assert served.plane.config.classes[0].output_tokens_max == 500
    response = await served.admin.UpdateClass(
        class_update(pb.TrafficClass(name="code"), "output_tokens_max")
    )
    assert response.traffic_class.output_tokens_max == 0
    assert served.plane.config.classes[0].output_tokens_max is None


async def test_a_floor_of_0_is_none(served: Served) -> None:
    await served.admin.UpdateClass(class_update(pb.TrafficClass(name="code"), "floor", "slo"))
    assert served.plane.config.classes[0].floor is None
    assert served.plane.config.classes[0].slo is None


@pytest.mark.parametrize("paths", [(), ("amount_usd",)])
async def test_a_budget_changes_its_amount(served: Served, paths: tuple[str, ...]) -> None:
    request = budget_update(pb.Budget(name="team", amount_usd=12.0, period="hour"), *paths)
    response = await served.admin.UpdateBudget(request)
    assert response.budget == pb.Budget(
        name="team", amount_usd=12.0, period="day", traffic_class="code", aim="least_cost"
    )


async def test_what_money_does_changes_while_it_runs(served: Served) -> None:
    best = "best_within_budget"
    await served.admin.UpdateBudget(budget_update(pb.Budget(name="team", aim=best), "aim"))
    assert served.plane.config.budgets[0].aim == best
    assert served.plane.config.budgets[0].amount_usd == 240.0
    wanted = pb.TrafficClass(name="code", floor_when_short=0.0, domain_floor=0.5, aim=best)
    request = class_update(wanted, "floor_when_short", "domain_floor", "aim")
    answer = (await served.admin.UpdateClass(request)).traffic_class
    assert (answer.HasField("floor_when_short"), answer.floor_when_short) == (True, 0.0)
    assert (answer.domain_floor, answer.aim) == (0.5, best)
    gone = pb.TrafficClass(name="code", aim="none")
    request = class_update(gone, "floor_when_short", "domain_floor", "aim")
    answer = (await served.admin.UpdateClass(request)).traffic_class
    assert (answer.HasField("floor_when_short"), answer.domain_floor, answer.aim) == (
        False,
        0.0,
        "",
    )


async def test_what_was_changed_is_on_disk(served: Served, tmp_path: Path) -> None:
    await served.admin.UpdateBudget(budget_update(pb.Budget(name="team", amount_usd=12.0)))
    kept = from_json(files_in(tmp_path).live_config.read_bytes())
    assert kept == served.plane.config
    assert kept.budgets[0].amount_usd == 12.0


async def test_changes_made_at_once_are_all_made(served: Served) -> None:
    updates = [
        served.admin.UpdateModel(model_update(whole_model(f"m{n}"), allow_missing=True))
        for n in range(10)
    ]
    await asyncio.gather(*updates)
    names = {model.name for model in served.plane.config.models}
    assert names == {"small", "large"} | {f"m{n}" for n in range(10)}


NAN = float("nan")


@pytest.mark.parametrize(
    ("request_", "code", "fields"),
    [
        (model_update(pb.Model(name="gone"), "enabled"), "NOT_FOUND", ["model.name"]),
        (class_update(pb.TrafficClass(name="gone"), "floor"), "NOT_FOUND", ["traffic_class.name"]),
        (budget_update(pb.Budget(name="gone"), "amount_usd"), "NOT_FOUND", ["budget.name"]),
        (model_update(pb.Model(name="small"), "nme"), "INVALID_ARGUMENT", ["update_mask"]),
        (model_update(pb.Model(name="small"), "name"), "INVALID_ARGUMENT", ["update_mask"]),
        (model_update(pb.Model(name="small"), "price.usd"), "INVALID_ARGUMENT", ["update_mask"]),
        (class_update(pb.TrafficClass(name="code")), "INVALID_ARGUMENT", ["update_mask"]),
        (
            class_update(pb.TrafficClass(name="code"), "slo.ms"),
            "INVALID_ARGUMENT",
            ["update_mask"],
        ),
        (budget_update(pb.Budget(name="team"), "period"), "INVALID_ARGUMENT", ["update_mask"]),
        (
            model_update(pb.Model(name="small"), "price"),
            "INVALID_ARGUMENT",
            ["model.price"],
        ),
        (
            model_update(pb.Model(name="large", prior_accuracy=1.5), "prior_accuracy"),
            "INVALID_ARGUMENT",
            ["model.prior_accuracy"],
        ),
        (
            model_update(pb.Model(name="large", price=pb.Price(request_usd=NAN)), "price"),
            "INVALID_ARGUMENT",
            ["model.price.request_usd"],
        ),
        (
            class_update(pb.TrafficClass(name="code", floor=NAN), "floor"),
            "INVALID_ARGUMENT",
            ["traffic_class.floor"],
        ),
        (
            budget_update(pb.Budget(name="team", amount_usd=-1.0)),
            "INVALID_ARGUMENT",
            ["budget.amount_usd"],
        ),
        (
            model_update(pb.Model(name="No Name"), allow_missing=True),
            "INVALID_ARGUMENT",
            None,
        ),
        (
            model_update(without_accuracy("huge"), "price", allow_missing=True),
            "INVALID_ARGUMENT",
            ["model.prior_accuracy"],
        ),
    ],
)
async def test_a_wrong_update_names_its_field_and_changes_nothing(
    served: Served,
    tmp_path: Path,
    request_: pb.UpdateModelRequest | pb.UpdateClassRequest | pb.UpdateBudgetRequest,
    code: str,
    fields: list[str] | None,
) -> None:
    before: Config = served.plane.config
    if isinstance(request_, pb.UpdateModelRequest):
        found = await refusal(served.admin.UpdateModel(request_))
    elif isinstance(request_, pb.UpdateClassRequest):
        found = await refusal(served.admin.UpdateClass(request_))
    else:
        found = await refusal(served.admin.UpdateBudget(request_))
    assert found.code is grpc.StatusCode[code]
    assert fields is None or found.fields == fields
    assert found.message
    assert served.plane.config is before
    assert not files_in(tmp_path).live_config.exists()
