"""Models that have all in flight that they may have: who is asked instead, who is refused."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from server.config.models import CapacityConfig
from server.dispatch.answers import Answer
from server.routing.catalog import PayloadKind
from server.routing.counters import NO_MODEL, Leg
from server.routing.errors import Shed
from server.routing.query import Query
from server.routing.selector import CellKey, ModelShares, WeightTable
from server.routing.slices import kept_back
from server.status_code import Code
from tests.server.dispatch.scene import CELL, CLASSES, HEALTH, MODELS, START_S, Scene, scene
from tests.server.routing.configs import config


def limited(*limits: float | None, **classes: Any) -> Scene:
    """Like `scene`, with so many at one time at each model; answers wait."""
    given = scene()
    models = [
        one.model_copy(update={"capacity": CapacityConfig(concurrent=limit)})
        for one, limit in zip(MODELS, limits, strict=True)
    ]
    given.router.configure(config(*models, classes=CLASSES, health=HEALTH, **classes))
    given.upstream.hold = asyncio.Event()
    return given


async def out(given: Scene, count: int, **query: Any) -> list[asyncio.Task[Answer]]:
    """So many that are on their way to models."""
    tasks = [asyncio.create_task(given.infer(**query)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def answers(given: Scene, tasks: list[asyncio.Task[Answer]]) -> list[str]:
    assert given.upstream.hold is not None
    given.upstream.hold.set()
    return [(await task).target.model.name for task in tasks]


async def test_a_model_that_has_all_it_may_have_is_not_asked_for_the_moment() -> None:
    given = limited(2, None, None)
    tasks = await out(given, 3)
    assert given.upstream.models == ["small", "small", "large"]
    await answers(given, tasks)
    answer = await given.infer()
    assert answer.target.model.name == "small"


async def test_where_every_model_is_full_a_request_is_refused_and_counted_as_asked_for() -> None:
    given = limited(2, 1, 1)
    tasks = await out(given, 4)
    with pytest.raises(Shed) as refused:
        await given.infer()
    assert refused.value.metadata["binds"] == "capacity of small, large and third"
    assert "is refused for the moment" in str(refused.value)
    assert given.counters.get(Leg(CELL, NO_MODEL, NO_MODEL)).shed == 1
    await answers(given, tasks)
    assert (await given.infer()).target.model.name == "small"


async def test_a_full_model_does_not_have_an_ejected_one_asked() -> None:
    given = limited(1, 1, 1)
    for index, name in ((1, "large"), (2, "third")):
        given.router.health.record_failure((index, f"{name}:8001"), sent_s=START_S, now_s=START_S)
    tasks = await out(given, 1)
    with pytest.raises(Shed) as refused:
        await given.infer()
    assert refused.value.metadata["binds"] == "capacity of small"
    await answers(given, tasks)


async def test_a_retry_goes_to_no_model_that_is_full() -> None:
    given = limited(None, 1, None)
    given.router.publish(WeightTable("p1", {CELL: ((1, 1.0, 1_000),)}))
    tasks = await out(given, 1)
    given.router.publish(WeightTable("p2", {CELL: ((0, 1.0, 1_000),)}))
    given.upstream.behaviours["small"] = Code.UNAVAILABLE
    retried = await out(given, 1)
    assert await answers(given, tasks + retried) == ["large", "third"]


async def test_a_route_asks_no_model_so_a_full_one_is_named() -> None:
    given = limited(1, 1, 1)
    tasks = await out(given, 3)
    query = Query(payload_kind=PayloadKind.TENSORS)
    decision = given.router.decide(query, now_s=START_S, chance=0.9)
    assert decision.target.model.name == "small"
    await answers(given, tasks)


async def test_a_call_that_is_cancelled_gives_its_place_back() -> None:
    given = limited(1, 1, 1)
    (task,) = await out(given, 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert given.router.slices.full == 0


async def test_what_is_refused_for_the_moment_is_part_of_what_the_plan_sheds() -> None:
    given = limited(1, 1, 1)
    given.router.publish(
        WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}, {}, {CELL: (0.5, "capacity of small")})
    )
    tasks, refused = list[asyncio.Task[Answer]](), 0
    for _ in range(100):
        tasks += await out(given, 1)
    done = [task for task in tasks if task.done()]
    refused = sum(isinstance(task.exception(), Shed) for task in done)
    assert (refused, given.upstream.models) == (99, ["small"])
    assert given.counters.get(Leg(CELL, NO_MODEL, NO_MODEL)).shed == 99
    await answers(given, [task for task in tasks if task not in done])


async def test_the_last_of_a_slice_are_for_cells_that_the_plan_does_not_shed() -> None:
    given = limited(4, 4, 4)
    high = CELL._replace(domain="other", size_bucket="s1")
    given.router.publish(
        WeightTable(
            "p1",
            {CELL: ((0, 1.0, 1_000),), high: ((0, 1.0, 1_000),)},
            {},
            {CELL: (0.01, "capacity of small")},
        )
    )
    tasks = await out(given, 20)
    assert given.upstream.models == ["small"] * (4 - kept_back(4))
    tasks += await out(given, 20, input_tokens=5_000)
    assert len(given.upstream.models) == 3 * 4
    assert all(isinstance(task.exception(), Shed) for task in tasks if task.done())
    await answers(given, [task for task in tasks if not task.done()])


async def test_nothing_is_kept_back_at_a_model_that_only_cells_use_that_the_plan_sheds() -> None:
    given = limited(4, 4, 4)
    high = CELL._replace(domain="other", size_bucket="s1")
    cells: dict[CellKey, ModelShares] = {CELL: ((0, 1.0, 1_000),), high: ((1, 1.0, 1_000),)}
    given.router.publish(WeightTable("p1", cells, {}, {CELL: (0.01, "capacity of small")}))
    tasks = await out(given, 20)
    assert given.upstream.models == ["small"] * 4
    await answers(given, [task for task in tasks if not task.done()])


async def test_what_the_plan_sheds_of_is_refused_where_its_row_is_full_and_asks_no_other() -> None:
    given = limited(2, 2, None)
    shares = ((0, 0.5, 1_000), (1, 0.5, 1_000))
    given.router.publish(WeightTable("p1", {CELL: shares}, {}, {CELL: (0.01, "capacity of both")}))
    tasks = await out(given, 20)
    assert Counter(given.upstream.models) == {"small": 2, "large": 2}
    refusals = [str(task.exception()) for task in tasks if task.done()]
    assert len(refusals) == 16
    assert all("capacity of small and large is used up" in refusal for refusal in refusals)
    await answers(given, [task for task in tasks if not task.done()])


async def test_what_the_plan_sheds_of_asks_others_where_nothing_of_its_row_is_up() -> None:
    given = limited(1, 1, None)
    given.router.publish(
        WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}, {}, {CELL: (0.01, "capacity of small")})
    )
    while not given.router.health.down:
        given.router.health.record_failure((0, "small:8001"), sent_s=START_S, now_s=START_S)
    tasks = await out(given, 1)
    assert given.upstream.models == ["large"]
    await answers(given, tasks)
