"""docs/stubs.md: its commands generate stubs, and its programs call a real `turnout serve`."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.peers.running import NODE, Failed
from tests.server.running import answering, serving, write_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "stubs.md").read_text()
# Where `make` installs what generates stubs for Python: beside the venv of the tests.
PYTHON_TOOLS = Path(sys.prefix).parent / ".venv-protos"
# A compiler on a busy machine.
PATIENCE_S = 150.0
# What these commands bring, our locks and Debian bring to the tests.
INSTALLS = (
    *("python3 -m venv ", "venv/bin/pip install ", "npm install "),
    *("go mod ", "go install "),
)
# Before gRPC for Go 1.63, who connects calls these.
OLD_DIAL = {
    "grpc.NewClient(": "grpc.Dial(",
    "grpc.WithTransportCredentials(insecure.NewCredentials())": "grpc.WithInsecure()",
    '\t"google.golang.org/grpc/credentials/insecure"\n': "",
}
BLOCK = re.compile(
    r"(?:(?:`(?P<file>[\w.]+)`:)\n\n)?^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```", re.M | re.S
)


NO_CHANGES: Mapping[str, str] = {}


class Block(NamedTuple):
    """A block of code: commands, or the content of a file."""

    file: str | None
    language: str
    text: str


def blocks(section: str) -> Iterator[Block]:
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for found in BLOCK.finditer(text):
        yield Block(found["file"], found["language"], found["text"])


def commands(block: Block) -> list[str]:
    return block.text.replace("\\\n", " ").splitlines()


def installed(section: str) -> set[str]:
    """The packages that a section has its reader install."""
    lines = [
        line for block in blocks(section) if block.language == "sh" for line in commands(block)
    ]
    words = [line.split()[2:] for line in lines if "install " in line]
    return {word for line in words for word in line if not word.startswith("-")}


@pytest.fixture
async def data(tmp_path: Path) -> AsyncIterator[str]:
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint)
        async with serving(path, tmp_path / "state") as service:
            yield service.data


async def follow(
    section: str, folder: Path, data: str, changes: Mapping[str, str] = NO_CHANGES, **environ: str
) -> str:
    """What the last command of the section prints, done in a folder with what was installed.

    `changes` are made to its files.
    """
    said = ""
    for block in blocks(section):
        if block.language == "sh":
            for command in commands(block):
                if not command.startswith(INSTALLS):
                    said = await done(command, folder, environ)
        else:
            assert block.file is not None, f"{section}: which file is this?\n{block.text}"
            text = block.text.replace("127.0.0.1:7080", data)
            for old, new in changes.items():
                text = text.replace(old, new)
            (folder / block.file).write_text(text)
    return said


def go_libraries() -> Path:
    """Where Debian has the sources of libraries, beside its compiler."""
    compiler = shutil.which("go")
    assert compiler is not None
    return Path(compiler).resolve().parents[3] / "share" / "gocode"


def has_new_client(libraries: Path) -> bool:
    sources = (libraries / "src" / "google.golang.org" / "grpc").glob("*.go")
    return any("func NewClient(" in source.read_text() for source in sources)


async def done(command: str, folder: Path, environ: Mapping[str, str]) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_shell(
        command,
        cwd=folder,
        # No PYTHONPATH: the stubs are the folder's own.
        env={**kept, "TURNOUT": str(ROOT), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        output, errors = await process.communicate()
    if process.returncode:
        raise Failed(f"{command}\n{(output + errors).decode()}")
    return output.decode()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_python_of_the_page_calls_route(tmp_path: Path, data: str) -> None:
    if not PYTHON_TOOLS.is_dir():
        give_up = pytest.fail if "CI" in os.environ else pytest.skip
        give_up("needs `make stubs-match`, which installs grpcio-tools")
    folder = tmp_path / "python"
    folder.mkdir()
    (folder / "venv").symlink_to(PYTHON_TOOLS)
    assert (await follow("Python", folder, data)).startswith("small at 127.0.0.1:")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.needs("node")
@pytest.mark.usefixtures("grpc_js")
async def test_the_typescript_of_the_page_calls_route(tmp_path: Path, data: str) -> None:
    folder = tmp_path / "typescript"
    folder.mkdir()
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    assert (await follow("TypeScript", folder, data)).startswith("small at 127.0.0.1:")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.needs("buf", "go", "protoc-gen-go", "protoc-gen-go-grpc")
async def test_the_go_of_the_page_calls_route(tmp_path: Path, data: str) -> None:
    libraries = go_libraries()
    folder = tmp_path / "src" / "example.com" / "route"
    folder.mkdir(parents=True)
    said = await follow(
        "Go",
        folder,
        data,
        NO_CHANGES if has_new_client(libraries) else OLD_DIAL,
        GO111MODULE="off",  # else its libraries come from a proxy
        GOPATH=f"{tmp_path}:{libraries}",
        GOCACHE=str(tmp_path / "cache"),
    )
    assert said.startswith("small at 127.0.0.1:")


def test_the_packages_of_the_page_are_those_that_our_locks_install() -> None:
    locked = (ROOT / "requirements" / "protos.txt").read_text()
    assert all(re.search(rf"^{name}==", locked, re.M) for name in installed("Python"))
    assert installed("Python") == {"grpcio-tools"}
    dependencies = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert installed("TypeScript") == dependencies.keys() - {"@grpc/grpc-js", "openai"}


def test_the_go_of_the_page_imports_the_package_that_the_protos_name() -> None:
    (program,) = [block.text for block in blocks("Go") if block.language == "go"]
    for proto in sorted((ROOT / "protos" / "turnout" / "v1").glob("*.proto")):
        (named,) = re.findall(r'^option go_package = "(.+);(\w+)";$', proto.read_text(), re.M)
        assert named == ("turnout/v1", "turnoutv1")
    assert 'turnoutv1 "example.com/route/gen/turnout/v1"' in program
