"""Chat completions and models through the door, as any HTTP client asks; whole and streamed."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from server.dispatch.exchange import CHAT, Asked, EndpointError
from server.door.limits import DoorLimits
from server.status_code import Code
from tests.server.door.front import ANSWER, MIB, PATIENCE_S, Front, event, opened

PATH = "/v1/chat/completions"
ASKED: dict[str, Any] = {
    "model": "auto",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}
BODY = json.dumps(ASKED).encode()
STREAMED = json.dumps({**ASKED, "stream": True}).encode()


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        yield front


@pytest.fixture
async def client(front: Front) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(front.url, timeout=timeout) as client:
        yield client


async def asked(client: aiohttp.ClientSession, body: bytes = BODY, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(PATH, data=io.BytesIO(body), headers=named) as response:
        return response.status, response.headers, await response.read()


async def refused(
    front: Front, client: aiohttp.ClientSession, body: bytes = BODY, **headers: str
) -> tuple[int, str, str | None]:
    """Status, reason and field; no model was asked, and the refusal was counted."""
    status, _, said = await asked(client, body, **headers)
    error = json.loads(said)["error"]
    assert front.model.asked == []
    assert dict(front.counters.refusals()) == {error["code"]: 1}
    return status, error["code"], error["param"]


async def test_an_answer_is_the_models_with_who_and_why_beside_it(
    front: Front, client: aiohttp.ClientSession
) -> None:
    status, headers, said = await asked(client)
    assert (status, said) == (200, ANSWER)
    assert headers["content-type"] == "application/json"
    assert headers["x-turnout-model"] == "small"
    assert headers["x-turnout-attempts"] == "1"
    assert headers["x-turnout-cost-usd"] == "0.000011"  # 9 tokens in, 1 out
    assert headers["x-request-id"] == headers["x-turnout-decision"]
    assert "small is the first that is fit" in headers["x-turnout-reason"]
    assert front.model.asked == [Asked(BODY, CHAT)]


async def test_what_was_asked_goes_on_byte_for_byte_and_credentials_do_not(
    front: Front, client: aiohttp.ClientSession
) -> None:
    body = b'{ "model":"auto", "messages" : [{"role":"user","content":"\\u00e9"}], "x":1.50}'
    await asked(client, body, authorization="Bearer s3cret", x_request_id="r1", traceparent="t")
    assert front.model.asked[0].body == body
    assert set(front.model.metadata[0]) == {("x-request-id", "r1"), ("traceparent", "t")}


async def test_the_caller_s_own_id_of_a_request_comes_back(
    front: Front, client: aiohttp.ClientSession
) -> None:
    _, headers, _ = await asked(client, x_request_id="r1")
    assert headers["x-request-id"] == "r1"


async def test_a_stream_is_the_models_events_then_its_cost_then_its_end(
    front: Front, client: aiohttp.ClientSession
) -> None:
    status, headers, said = await asked(client, STREAMED)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-turnout-model"] == "small"
    assert "x-turnout-cost-usd" not in headers  # it is not known before the end
    cost = b": x-turnout-cost-usd=0.000011\n\n"
    assert said == event("Par") + event("is") + cost + b"data: [DONE]\n\n"
    assert front.model.asked[0].streams


async def test_a_cost_is_marked_where_the_model_does_not_tell_what_it_wrote(
    front: Front, client: aiohttp.ClientSession
) -> None:
    assert "x-turnout-cost-estimated" not in (await asked(client))[1]
    front.model.usage = None
    assert (await asked(client))[1]["x-turnout-cost-estimated"] == "true"
    _, headers, said = await asked(client, STREAMED)
    assert "x-turnout-cost-estimated" not in headers
    assert b" x-turnout-cost-estimated=true\n\ndata: [DONE]" in said


@pytest.mark.parametrize("included", [True, False])
async def test_usage_is_among_the_events_if_it_was_asked_for(
    front: Front, client: aiohttp.ClientSession, included: bool
) -> None:
    options = {"stream": True, "stream_options": {"include_usage": included}}
    await asked(client, json.dumps(ASKED | options).encode())
    assert front.model.asked[0].wants_usage is included


async def test_an_event_is_passed_on_as_soon_as_it_is_there(
    front: Front, client: aiohttp.ClientSession
) -> None:
    front.model.open.clear()
    async with client.post(PATH, data=STREAMED) as response:
        assert await response.content.readuntil(b"\n\n") == event("Par")
        front.model.open.set()
        assert await response.content.readuntil(b"\n\n") == event("is")


async def test_a_stream_that_is_silent_is_kept_alive_by_comments() -> None:
    async with opened(DoorLimits(heartbeat_s=0.01)) as front, aiohttp.ClientSession() as client:
        front.model.open.clear()
        async with client.post(front.url + PATH, data=STREAMED) as response:
            assert await response.content.readuntil(b"\n\n") == event("Par")
            for _ in range(3):
                assert (await response.content.readuntil(b"\n\n")).startswith(b": ")
            front.model.open.set()
            assert event("is") in await response.content.read()


async def test_a_stream_that_breaks_says_so_and_has_no_end(
    front: Front, client: aiohttp.ClientSession
) -> None:
    front.model.breaks = True
    status, _, said = await asked(client, STREAMED)
    *events, last = said.removesuffix(b"\n\n").split(b"\n\n")
    assert (status, len(events)) == (200, 2)
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "STREAM_BROKEN"
    assert dict(front.counters.refusals()) == {"STREAM_BROKEN": 1}


@pytest.mark.parametrize("body", [BODY, STREAMED])
async def test_a_model_that_fails_before_it_answers_is_an_error_with_a_status(
    front: Front, client: aiohttp.ClientSession, body: bytes
) -> None:
    front.model.failure = EndpointError(Code.UNAVAILABLE, "no memory")
    status, headers, said = await asked(client, body)
    assert (status, headers["x-should-retry"]) == (503, "false")
    assert json.loads(said)["error"]["code"] == "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize("body", [BODY, STREAMED])
async def test_a_caller_that_leaves_is_noticed_upstream(front: Front, body: bytes) -> None:
    front.model.open.clear()
    async with asyncio.timeout(PATIENCE_S):
        _, writer = await front.connect()
        head = b"POST %s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (PATH.encode(), len(body)) + body)
        await front.model.reached.wait()
        writer.transport.abort()
        await front.model.cancelled.wait()


@pytest.mark.parametrize(
    ("changes", "headers", "status", "reason", "param"),
    [
        ({"model": "gpt-4o"}, {}, 404, "CLASS_UNKNOWN", "model"),
        ({"model": 5}, {}, 400, "PAYLOAD_MALFORMED", "model"),
        ({"stream": "yes"}, {}, 400, "PAYLOAD_MALFORMED", "stream"),
        ({"messages": []}, {}, 400, "PAYLOAD_MALFORMED", "messages"),
        ({"messages": [{"role": 1}]}, {}, 400, "PAYLOAD_MALFORMED", "messages[0].role"),
        ({"tools": [{"type": "function"}]}, {}, 400, "NO_CANDIDATE", None),
        ({}, {"x_turnout_class": "gpt"}, 404, "CLASS_UNKNOWN", "x-turnout-class"),
        (
            {"model": "chat"},
            {"x_turnout_class": "strict"},
            400,
            "CLASS_AMBIGUOUS",
            "x-turnout-class",
        ),
        ({}, {"x_turnout_tenant": 300 * "a"}, 400, "REQUEST_INVALID", "x-turnout-tenant"),
        (
            {},
            {"x_turnout_labels": ",".join(f"a{i}=1" for i in range(65))},
            400,
            "REQUEST_INVALID",
            "x-turnout-labels",
        ),
        ({}, {"content_encoding": "gzip"}, 415, "ENCODING_UNSUPPORTED", None),
        ({}, {"origin": "https://example.com"}, 403, "ORIGIN_REFUSED", None),
    ],
)
async def test_bad_input_is_refused_by_its_name_and_nobody_is_asked(
    front: Front,
    client: aiohttp.ClientSession,
    changes: dict[str, object],
    headers: dict[str, str],
    status: int,
    reason: str,
    param: str | None,
) -> None:
    body = json.dumps(ASKED | changes).encode()
    assert await refused(front, client, body, **headers) == (status, reason, param)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model":"auto",}', "at character 16"),
        (b"", "at character 0"),
        (b"\xff", "not JSON in UTF-8"),
        (b"[]", "must be a JSON object"),
    ],
)
async def test_what_is_no_json_is_told_with_its_place(
    client: aiohttp.ClientSession, body: bytes, says: str
) -> None:
    status, _, said = await asked(client, body)
    assert status == 400
    assert says in json.loads(said)["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "traffic_class"),
    [
        ({"x_turnout_class": "strict"}, "strict"),
        ({"x_turnout_labels": "app=strict"}, "strict"),
        ({"x_turnout_tenant": "acme", "x_turnout_user": "ada"}, "acme"),
        ({"x_turnout_priority": "7"}, "urgent"),
        ({"x_team": "blue"}, "blue"),
        ({}, "chat"),
    ],
)
async def test_context_in_headers_makes_the_class(
    client: aiohttp.ClientSession, headers: dict[str, str], traffic_class: str
) -> None:
    _, answered, _ = await asked(client, BODY, **headers)
    assert f"class {traffic_class}" in answered["x-turnout-reason"]


@pytest.mark.parametrize(
    ("changes", "traffic_class"),
    [
        ({"model": "strict"}, "strict"),
        ({"metadata": {"app": "strict"}}, "strict"),
        ({"metadata": {"x-turnout-tenant": "acme"}, "user": "ada"}, "acme"),
    ],
)
async def test_context_in_the_body_makes_the_class(
    client: aiohttp.ClientSession, changes: dict[str, object], traffic_class: str
) -> None:
    _, answered, _ = await asked(client, json.dumps(ASKED | changes).encode())
    assert f"class {traffic_class}" in answered["x-turnout-reason"]


async def test_a_large_chat_is_read_beside_the_loop_and_a_picture_may_be_megabytes(
    front: Front, client: aiohttp.ClientSession
) -> None:
    url = "data:image/png;base64," + 3 * MIB * "A"
    picture = {"type": "image_url", "image_url": {"url": url}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    body = json.dumps({"model": "auto", "messages": messages}).encode()
    status, _, said = await asked(client, body)
    assert (status, said) == (200, ANSWER)
    assert front.model.asked[0].body == body


async def test_classes_and_auto_are_the_models(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/models") as response:
        listed = [one["id"] for one in (await response.json())["data"]]
    assert listed == ["auto", "chat", "strict", "support", "short", "acme", "urgent", "blue"]
    async with client.get("/v1/models/strict") as response:
        assert (await response.json())["id"] == "strict"
    async with client.get("/v1/models/gpt-4o") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", PATH, 405, "METHOD_WRONG"),
        ("POST", "/v1/models", 405, "METHOD_WRONG"),
        ("OPTIONS", PATH, 405, "METHOD_WRONG"),
        ("POST", "/v1/completions", 404, "NOT_FOUND"),
        ("POST", "/v1/chat/%63ompletions", 404, "NOT_FOUND"),
        ("GET", "/", 404, "NOT_FOUND"),
    ],
)
async def test_what_is_not_served_is_said_to_be_so(
    front: Front, client: aiohttp.ClientSession, method: str, path: str, status: int, reason: str
) -> None:
    from yarl import URL

    url = URL(front.url + path, encoded=True)
    async with aiohttp.request(method, url) as response:
        assert response.status == status
        assert (await response.json())["error"]["code"] == reason


async def test_a_connection_serves_one_request_after_another(
    front: Front, client: aiohttp.ClientSession
) -> None:
    for _ in range(3):
        await asked(client)
        await asked(client, STREAMED)
        await asked(client, b"{")
    assert (front.door.connections, front.door.requests) == (1, 9)


async def test_a_body_that_waits_to_be_asked_for_is(front: Front) -> None:
    head = b"POST %s HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    reader, writer = await front.connect()
    async with asyncio.timeout(PATIENCE_S):
        writer.write(head % (PATH.encode(), len(BODY)))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_body_that_would_be_refused_is_not_asked_for(front: Front) -> None:
    head = (
        b"POST %s HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
    )
    reader, writer = await front.connect()
    async with asyncio.timeout(PATIENCE_S):
        writer.write(head % PATH.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_an_answer_does_not_say_what_it_is_made_with(client: aiohttp.ClientSession) -> None:
    for body in (BODY, STREAMED, b"{"):
        _, headers, _ = await asked(client, body)
        assert headers["server"] == "turnout"
