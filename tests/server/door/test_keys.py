"""Keys at the door: who is served, and how the others are refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from server.routing.callers import Shown
from server.routing.keys import KeptSecret, Key, digest_of, whole
from tests.server.door.front import NOW_S, PATIENCE_S, Front, opened
from tests.server.door.test_chat import BODY, PATH, STREAMED

A, B = whole("aaaaaaaaaa", 43 * "a"), whole("bbbbbbbbbb", 43 * "b")


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        keys(front)
        demand_keys(front)
        yield front


@pytest.fixture
async def client(front: Front) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(front.url, timeout=timeout) as client:
        yield client


def keys(front: Front, **of_a: Any) -> None:
    first = Key("aaaaaaaaaa", "acme", (KeptSecret(digest_of(A)),), **of_a)
    second = Key("bbbbbbbbbb", "initech", (KeptSecret(digest_of(B)),))
    front.router.callers.put_in_force([first, second])


def demand_keys(front: Front) -> None:
    """As a file that says anonymous: false, with a door."""
    config = front.router._ready().config
    callers = config.callers.model_copy(update={"anonymous": False})
    listeners = config.listeners.model_copy(update={"openai": "127.0.0.1:0"})
    update = {"callers": callers, "listeners": listeners}
    front.router.callers.configure(config.model_copy(update=update))


async def ask(
    client: aiohttp.ClientSession, *shown: str, body: bytes = BODY, **headers: str
) -> tuple[int, str, "CIMultiDict[str]"]:
    """The status, what is said, and the headers of the answer."""
    sent = CIMultiDict([("authorization", f"Bearer {one}") for one in shown])
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    async with client.post(PATH, data=body, headers=sent) as response:
        return response.status, await response.text(), CIMultiDict(response.headers)


def reason_in(said: str) -> str:
    reason: str = json.loads(said)["error"]["code"]
    return reason


@pytest.mark.parametrize("body", [BODY, STREAMED])
async def test_the_holder_of_a_key_is_served(client: aiohttp.ClientSession, body: bytes) -> None:
    status, _, _ = await ask(client, A, body=body)
    assert status == 200


BAD: list[tuple[tuple[str, ...], dict[str, Any], int, str]] = [
    ((), {}, 401, "KEY_MISSING"),
    (("unused",), {}, 401, "KEY_UNKNOWN"),
    ((A,), {"expires_s": NOW_S}, 401, "KEY_EXPIRED"),
    ((A, B), {}, 400, "KEY_AMBIGUOUS"),
    ((A,), {"classes": frozenset({"strict"})}, 403, "KEY_CLASS"),
]


@pytest.mark.parametrize(("shown", "of_a", "status", "reason"), BAD)
@pytest.mark.parametrize("body", [BODY, STREAMED])
async def test_what_is_wrong_with_a_key_is_its_own_reason_and_nothing_is_counted_or_echoed(
    front: Front,
    client: aiohttp.ClientSession,
    body: bytes,
    shown: tuple[str, ...],
    of_a: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    keys(front, **of_a)
    found, said, headers = await ask(client, *shown, body=body)
    assert (found, reason_in(said)) == (status, reason)
    assert headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert front.model.asked == []
    assert not front.counters.take_touched()
    assert dict(front.counters.refusals()) == {reason: 1}
    assert not any(one in said for one in shown)


async def test_another_tenant_cannot_be_claimed(
    front: Front, client: aiohttp.ClientSession
) -> None:
    status, said, _ = await ask(client, B, x_turnout_tenant="acme")
    error = json.loads(said)["error"]
    assert (status, error["code"], error["param"]) == (403, "KEY_TENANT", "x-turnout-tenant")
    assert front.model.asked == []


async def test_requests_are_of_the_tenant_of_the_key(
    front: Front, client: aiohttp.ClientSession
) -> None:
    """A rule puts ada of acme in a class of her own."""
    await ask(client, A, x_turnout_user="ada")
    ((cell, *_),) = front.counters.take_touched()
    assert cell.traffic_class == "acme"


async def test_a_key_over_its_rate_is_told_when_to_come_back(
    front: Front, client: aiohttp.ClientSession
) -> None:
    keys(front, requests_per_minute=30)
    shown = Shown([f"Bearer {A}"])
    front.router.callers.find(shown, now_s=NOW_S).spend(30, now_s=NOW_S)
    status, said, headers = await ask(client, A)
    assert (status, reason_in(said)) == (429, "KEY_RATE")
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "2000")


@pytest.mark.parametrize("body", [BODY, STREAMED])
async def test_a_key_has_no_more_calls_open_than_it_may(
    front: Front, client: aiohttp.ClientSession, body: bytes
) -> None:
    keys(front, concurrent=1)
    front.model.open.clear()
    first = asyncio.ensure_future(ask(client, A, body=body))
    await front.model.reached.wait()
    status, said, headers = await ask(client, A)
    assert (status, reason_in(said), headers["retry-after"]) == (429, "KEY_BUSY", "1")
    front.model.open.set()
    assert (await first)[0] == 200
    assert (await ask(client, A))[0] == 200


async def test_the_classes_are_listed_for_those_who_have_a_key(
    client: aiohttp.ClientSession,
) -> None:
    for path in ("/v1/models", "/v1/models/chat"):
        async with client.get(path) as response:
            assert response.status == 401
        async with client.get(path, headers={"authorization": f"Bearer {A}"}) as response:
            assert response.status == 200


async def test_where_none_is_needed_and_none_was_made_what_clients_send_is_not_looked_at(
    front: Front, client: aiohttp.ClientSession
) -> None:
    front.router.callers.configure(front.router._ready().config)
    front.router.callers.put_in_force(None)
    assert (await ask(client, "unused"))[0] == 200


async def test_a_key_is_not_passed_on(front: Front, client: aiohttp.ClientSession) -> None:
    await ask(client, A)
    ((metadata),) = front.model.metadata
    assert not any(A in value for _, value in metadata)


async def test_the_models_of_a_key_are_the_classes_that_it_is_for(
    front: Front, client: aiohttp.ClientSession
) -> None:
    keys(front, classes=frozenset({"strict", "gone"}))
    shown = {"authorization": f"Bearer {A}"}
    async with client.get("/v1/models", headers=shown) as response:
        assert [one["id"] for one in (await response.json())["data"]] == ["auto", "strict"]
    async with client.get("/v1/models/chat", headers=shown) as response:
        assert response.status == 404
