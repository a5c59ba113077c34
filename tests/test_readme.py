"""The README's code runs, its commands exist, its configuration holds."""

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.demo.serve import CLIENT_CODE
from server.cli.app import app
from server.config.as_json import json_schema
from server.config.file import load
from tests.server.door.front import opened

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# Imports, training, and the start of seven processes; half as long on an idle machine.
START_S = 50.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("target", [words[1] for words in commands() if words[0] == "make"])
def test_every_target_it_names_is_one_of_the_makefile(target: str) -> None:
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", [words for words in commands() if words[0] == "turnout"])
async def test_every_command_it_names_is_one_of_turnouts(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.cli", command[1], "--help"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_configuration_holds(text: str, tmp_path: Path) -> None:
    path = tmp_path / "turnout.yaml"
    path.write_text(text)
    assert load(path).classes
    assert set(yaml.safe_load(text)) <= set(json_schema()["properties"])  # type: ignore[call-overload]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_configuration_passes_the_check(text: str, tmp_path: Path) -> None:
    path = tmp_path / "turnout.yaml"
    path.write_text(text)
    result = CliRunner().invoke(app, ["check", str(path)], env={"OPENAI_API_KEY": "sk-test"})
    assert (result.exit_code, result.stderr) == (0, "")


def test_its_configuration_shows_a_hosted_api_vllm_and_ollama() -> None:
    (text,) = blocks("yaml")
    models = yaml.safe_load(text)["models"]
    assert {one["protocol"] for one in models} == {"openai"}
    assert [one["endpoints"][0].split(":")[-1] for one in models] == [
        "//api.openai.com/v1",
        "8000/v1",
        "11434/v1",
    ]


def test_its_client_code_is_what_make_serve_prints() -> None:
    assert blocks("python")[0] == CLIENT_CODE


@pytest.mark.parametrize("code", blocks("python")[1:])
async def test_its_code_for_openais_client_runs_against_the_door(code: str) -> None:
    async with opened() as front:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code.replace("http://127.0.0.1:7082", front.url)),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await client.communicate()
    assert said == b"Paris"


@pytest.mark.slow
async def test_its_client_code_runs_against_make_serve(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.demo", "serve", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    )
    try:
        assert service.stdout is not None
        async with asyncio.timeout(START_S):
            while not (said := await service.stdout.readline()).startswith(b"Turnout listens"):
                assert service.returncode is None
        address = said.decode().split()[3].rstrip(",")
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", blocks("python")[0].replace("127.0.0.1:7080", address)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        answered, _ = await client.communicate()
        assert re.match(rb"\S+ says 0 for \$0\.0\d+: ", answered)
        plan = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.cli", "plan"),
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        explained, _ = await plan.communicate()
        assert plan.returncode == 0
        assert b"plan" in explained
    finally:
        service.terminate()
        await service.communicate()
