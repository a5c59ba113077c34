"""`turnout infer` and `turnout chat` talk to a real language model through `turnout serve`."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.language_models import started
from tests.server.openai_service import QUESTION, configured
from tests.server.running import serving
from tests.server.upstream.openai.endpoint import FakeEndpoint
from tests.server.upstream.openai.endpoint import serving as endpoint_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BODY = json.dumps({"messages": QUESTION, "max_tokens": 20, "temperature": 0})


@pytest.fixture(scope="module")
def language_model() -> Iterator[str]:
    yield from started()


async def turnout(*arguments: str, asked: str) -> tuple[str, str]:
    """What the command says on standard output and on standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.cli", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, beside = await process.communicate(asked.encode())
    assert process.returncode == 0, beside
    return said.decode(), beside.decode()


async def test_infer_says_the_same_whole_and_in_pieces(language_model: str, tmp_path: Path) -> None:
    async with serving(configured(tmp_path, language_model), tmp_path / "state") as service:
        asking = ("infer", "--chat", "--class", "support", "--address", service.data)
        whole, took = await turnout(*asking, asked=BODY)
        pieces, _ = await turnout(*asking, "--stream", asked=BODY)
    assert whole == pieces != "\n"
    assert took.startswith("smollm2 for $0.0000")
    assert "\ndecision " in took


async def test_piped_questions_are_a_conversation(tmp_path: Path) -> None:
    # No language model: one says as much as it likes where nobody can tell it how much.
    endpoint = FakeEndpoint()
    async with endpoint_serving(endpoint):
        config = configured(tmp_path, endpoint.url)
        async with serving(config, tmp_path / "state") as service:
            said, _ = await turnout("chat", "--address", service.data, asked="One?\nTwo?\n")
    first, took, second, _ = said.splitlines()
    assert (first, second) == ("Paris", "Paris")
    assert took.startswith("smollm2 for $0.0000017, 9 tokens read, 2 written")
    asked = [one.asked["messages"] for one in endpoint.requests if one.line.startswith("POST")]
    assert [[message["content"] for message in messages] for messages in asked] == [
        ["One?"],
        ["One?", "Paris", "Two?"],
    ]
