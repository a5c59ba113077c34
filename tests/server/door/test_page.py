"""The programs and commands of docs/openai.md run as they stand there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.server.door.front import opened

PAGE = (Path(__file__).parents[3] / "docs" / "openai.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def said(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


@pytest.mark.parametrize("code", blocks("python"))
async def test_a_program_prints_what_the_model_says(code: str) -> None:
    async with opened() as front:
        program = code.replace("http://127.0.0.1:7082", front.url)
        assert (await said(sys.executable, "-c", program)).strip() == "Paris"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("script", blocks("sh"))
async def test_a_command_shows_the_stream(script: str) -> None:
    async with opened() as front:
        output = await said("sh", "-c", script.replace("http://127.0.0.1:7082", front.url))
    assert output.endswith("data: [DONE]\n\n")
