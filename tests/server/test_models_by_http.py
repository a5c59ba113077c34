"""A service whose models speak OpenAI's protocol: from its door to an endpoint and back."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.server.running import Service, serving, write_config
from tests.server.upstream.openai.asking import BODY, KEY, PROMPT
from tests.server.upstream.openai.endpoint import ANSWER, CHUNKS, DONE, FakeEndpoint
from tests.server.upstream.openai.endpoint import serving as endpoint_serving
from tests.server.upstream.openai.test_faults import FAULTS

ASKED = json.loads(BODY)


@asynccontextmanager
async def served(tmp_path: Path, endpoint: FakeEndpoint) -> AsyncIterator[Service]:
    """The service, with one model at this endpoint."""
    (tmp_path / "key").write_text(KEY)
    model = {
        "name": "hosted",
        "protocol": "openai",
        "endpoints": [endpoint.url],
        "upstream_name": "m-1",
        "api_key_file": str(tmp_path / "key"),
        "price": {"request_usd": 0.001},
        "prior_accuracy": 0.9,
    }
    listeners = {"data": "127.0.0.1:0", "openai": "127.0.0.1:0"}
    path = write_config(tmp_path, "", models=[model], listeners=listeners)
    async with serving(path, tmp_path / "state") as service:
        yield service


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with endpoint_serving(made):
        yield made


async def ask(service: Service, **more: object) -> tuple[int, Mapping[str, str], bytes]:
    """What the door answers to a chat."""
    url = f"http://{service.openai}/v1/chat/completions"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=ASKED | more) as answer,
    ):
        body = b""
        with suppress(aiohttp.ClientPayloadError):  # a stream may be told as broken that way
            async for piece in answer.content.iter_any():
                body += piece
        return answer.status, answer.headers, body


async def test_a_chat_goes_through_whole_and_streamed_with_the_models_own_key(
    tmp_path: Path, endpoint: FakeEndpoint
) -> None:
    async with served(tmp_path, endpoint) as service:
        status, headers, body = await ask(service)
        assert (status, headers["x-turnout-model"]) == (200, "hosted")
        assert json.loads(body) == ANSWER
        status, _, body = await ask(service, stream=True)
        assert status == 200
        assert b"".join(CHUNKS) in body
        assert DONE in body
    for received in endpoint.requests:
        assert received.headers["authorization"] == f"Bearer {KEY}"
        assert received.asked["model"] == "m-1"


@pytest.mark.slow
async def test_whatever_goes_wrong_no_prompt_and_no_key_is_in_an_answer_a_log_or_a_file(
    tmp_path: Path, endpoint: FakeEndpoint
) -> None:
    answers = b""
    async with served(tmp_path, endpoint) as service:
        for name, fault in FAULTS.items():
            endpoint.behaviour = fault.behaviour
            for streams in (False, True):
                status, _, body = await ask(service, stream=streams)
                is_well = (fault.streamed if streams else fault.whole) is None
                assert (status == 200) is is_well or b"error" in body, name
                answers += body
        assert len(endpoint.requests) >= len(FAULTS)
        service.process.terminate()
        stderr = service.process.stderr
        assert stderr is not None
        logged = "".join(service.lines).encode() + await stderr.read()
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir() if file.is_file())
    for secret in (KEY.encode(), PROMPT.encode(), b"whale"):
        assert [secret in text for text in (answers, logged, kept)] == [False, False, False]
