"""Endpoints that say when to come back are asked nothing until then, and others are."""

from typing import Any

import pytest

from server.dispatch.exchange import EndpointError
from server.routing.catalog import PayloadKind
from server.routing.errors import ModelsBusy
from server.routing.health import REST_S_MAX
from server.routing.query import Query
from server.status_code import Code
from tests.server.dispatch.scene import Scene, scene
from tests.server.routing.configs import config, model


def busy(seconds: float | None) -> EndpointError:
    return EndpointError(Code.RESOURCE_EXHAUSTED, "slow down", retry_after_s=seconds)


def refusing(seconds: float, *names: str) -> Scene:
    """Whom `names` names refuses with 429, and says when to come back."""
    behaviours: dict[str, Any] = {name: busy(seconds) for name in names}
    return scene(**behaviours)


async def test_who_says_when_to_come_back_is_asked_nothing_until_then_and_others_are() -> None:
    given = refusing(5.0, "small")
    assert (await given.infer()).response == b"2"
    assert given.upstream.models == ["small", "large"]
    rests_from_s = given.upstream.now_s - given.upstream.took_s
    for _ in range(3):
        assert (await given.infer()).response == b"2"
    assert given.upstream.models[2:] == ["large"] * 3
    given.upstream.now_s = rests_from_s + 5.0
    await given.infer()
    assert given.upstream.models[5:] == ["small", "large"]


async def test_nobody_is_left_alone_for_longer_than_a_minute() -> None:
    given = refusing(3_600.0, "small")
    await given.infer()
    given.upstream.now_s += REST_S_MAX
    given.upstream.asked.clear()
    await given.infer()
    assert given.upstream.models == ["small", "large"]


async def test_where_all_that_can_answer_rest_the_caller_is_told_the_first_time() -> None:
    given = refusing(5.0, "small", "large", "third")
    failed = await given.fail()
    assert failed.retry_after_s == 5.0
    failed = await given.fail()  # third
    asked, since_s = len(given.upstream.asked), given.upstream.now_s
    with pytest.raises(ModelsBusy) as busy:
        await given.infer()
    assert len(given.upstream.asked) == asked
    assert busy.value.retry_after_s == pytest.approx(5.0 - 2 * given.upstream.took_s)
    given.upstream.now_s = since_s + 5.0
    await given.fail()


async def test_a_refusal_carries_no_time_where_another_failed_without_one() -> None:
    given = refusing(5.0, "small")
    given.upstream.behaviours["large"] = busy(None)
    assert (await given.fail()).retry_after_s is None


async def test_callers_of_route_are_still_told_whom_to_ask() -> None:
    given = refusing(5.0, "small", "large", "third")
    await given.fail()
    await given.fail()
    query = Query(payload_kind=PayloadKind.TENSORS)
    decided = given.router.decide(query, now_s=given.upstream.now_s, chance=1.0)
    assert decided.target.model.name == "small"


async def test_of_two_endpoints_the_one_that_did_not_ask_for_it_goes_on() -> None:
    given = refusing(5.0)
    given.router.configure(config(model("small", endpoints=("a:1", "b:1"))))
    given.router.endpoints.refresh(given.upstream.now_s)
    given.router.health.rest((0, "a:1"), seconds=5.0, now_s=given.upstream.now_s)
    for _ in range(8):
        await given.infer()
    assert {address for address, *_ in given.upstream.asked} == {"b:1"}


async def test_to_rest_is_not_to_be_ejected() -> None:
    given = refusing(5.0, "small")
    await given.infer()
    health = given.router.health
    assert (health.is_ejected((0, "small:8001")), health.ejected, health.resting) == (False, 0, 1)
    assert health.to_probe() == []
