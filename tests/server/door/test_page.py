"""The programs and commands of docs/openai.md run as they stand there."""

import asyncio
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from server.door.limits import DoorLimits
from server.transport.limit_names import DOOR_LIMITS
from tests.server.door.front import MIB, opened

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


LIMITS = DoorLimits()


def in_words(field: str) -> str:
    value = getattr(LIMITS, field)
    if "_bytes" in field:
        return f"{value // MIB} MiB" if value >= MIB else f"{value // 1_024} KiB"
    return f"{value:g} s" if field.endswith("_s_max") else f"{value:,}"


def test_the_page_has_every_limit_with_its_value() -> None:
    tables = PAGE.partition("## Limits")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| ?(.*?) ?\|$", tables, re.MULTILINE)
    names = {name for *_, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert names == DOOR_LIMITS
    values = {value for _, values, _ in rows for value in values.split("; ")}
    held = {f.name for f in fields(DoorLimits)} - {"age_s_max", "heartbeat_s"}
    assert {in_words(field) for field in held} <= values
    assert "older than ten minutes" in PAGE
    assert (LIMITS.age_s_max, LIMITS.heartbeat_s) == (600.0, 10.0)
