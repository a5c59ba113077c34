"""What is wrong with a block of code on a page, by its language.

A fence says more where a block is not what its language says by itself: `yaml part` is a part of a
configuration, `yaml of NAME` belongs to another program, `python runs` runs as it stands.
"""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import descriptor_pool

from server.config.diagnostics import ConfigError
from server.config.file import load
from tests.pages import commands
from tests.pages.commands import simple_commands, typed
from tests.pages.reading import Block
from turnout.v1 import admin_pb2, control_pb2, routing_pb2

# The least that a part needs around it.
_AROUND: Mapping[str, Any] = {
    "models": [
        {
            "name": "small",
            "protocol": "oip",
            "endpoints": ["127.0.0.1:8001"],
            "price": {"request_usd": 0.001},
            "prior_accuracy": 0.9,
        }
    ],
    "classes": [{"name": "all-others", "default": True}],
}
_OURS = frozenset({"turnout", "server", "optimizer", "benchmarks"})
_OUR_NAMES = re.compile(r"\bturnout\.v1\.([A-Z]\w*(?:[./][A-Z]\w*)?)")
# For people, or for a tool that its own tests ask.
_READ_ONLY = frozenset(
    {"", "text", "ini", "dockerfile", "go", "ts", "typescript", "diff", "mermaid"}
)
_RUN_S = 50
(_PACKAGE,) = {each.DESCRIPTOR.package for each in (admin_pb2, control_pb2, routing_pb2)}


def problems(block: Block, folder: Path) -> list[str]:
    """With where each is; the folder is for files."""
    check = CHECKS.get(block.language)
    if check is None and block.language not in _READ_ONLY:
        found = [f"no check knows {block.language!r}: add one in tests/pages/checks.py"]
    else:
        found = list(check(block, folder)) if check else []
    return [f"{block}: {problem}" for problem in (*found, *_name_problems(block.text))]


def _name_problems(text: str) -> Iterator[str]:
    for name in _OUR_NAMES.findall(text):
        if not _is_of_ours(name):
            yield f"turnout.v1 has no {name}"


def _is_of_ours(name: str) -> bool:
    pool = descriptor_pool.Default()  # which the imports above have filled
    full = f"{_PACKAGE}.{name.replace('/', '.')}"
    for find in (pool.FindMessageTypeByName, pool.FindServiceByName, pool.FindMethodByName):
        try:
            find(full)
        except KeyError:
            continue
        return True
    return False


def _yaml(block: Block, folder: Path) -> Iterator[str]:
    try:
        data = list(yaml.safe_load_all(block.text))
    except yaml.YAMLError as error:
        yield str(error)
        return
    if block.marks[:1] == ("of",):
        return
    if block.marks not in ((), ("part",)):
        yield f"`yaml {' '.join(block.marks)}` says nothing: part, of NAME, or nothing are right"
        return
    path = folder / "turnout.yaml"
    path.write_text(_whole(data[0]) if block.marks else block.text)
    try:
        load(path)
    except ConfigError as error:
        yield from (f"{problem.path}: {problem.message}" for problem in error.diagnostics)


def _whole(part: Mapping[str, Any]) -> str:
    """A default class is added where the part has classes and none that is one."""
    whole = {**_AROUND, **part}
    if not any(each.get("default") for each in whole["classes"]):
        whole["classes"] = [*whole["classes"], *_AROUND["classes"]]
    return yaml.safe_dump(whole, sort_keys=False)


def _python(block: Block, folder: Path) -> Iterator[str]:
    try:
        tree = ast.parse(block.text)
    except SyntaxError as error:
        yield f"line {error.lineno} of it: {error.msg}"
        return
    yield from (problem for node in ast.walk(tree) for problem in _import_problems(node))
    if block.marks == ("runs",):
        yield from _run_problems(block.text, folder)
    elif block.marks:
        yield f"`python {' '.join(block.marks)}` says nothing: runs, or nothing, is right"


def _import_problems(node: ast.AST) -> Iterator[str]:
    """Others' packages need not be installed here."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _missing(alias.name, "")
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            yield from _missing(node.module, alias.name)


def _missing(module: str, name: str) -> Iterator[str]:
    if module.partition(".")[0] not in _OURS:
        return
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError as error:
        yield str(error)


def _run_problems(text: str, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-c", text]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_RUN_S, check=False
    )
    if done.returncode:
        yield f"it does not run: {done.stderr.strip().splitlines()[-1]}"


def _shell(block: Block, _folder: Path) -> Iterator[str]:
    done = subprocess.run(
        ["sh", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield done.stderr.strip()
        return
    yield from _command_problems(block.text)


def _console(block: Block, _folder: Path) -> Iterator[str]:
    script = typed(block.text)
    if not script:
        yield "nothing is typed here: a line of a session begins with `$ `"
    yield from _command_problems(script)


def _command_problems(script: str) -> Iterator[str]:
    for words in simple_commands(script):
        yield from (f"{' '.join(words)}: {problem}" for problem in commands.problems(words))


def _json(block: Block, _folder: Path) -> Iterator[str]:
    try:
        json.loads(block.text)
    except json.JSONDecodeError as error:
        yield str(error)


def _json_lines(block: Block, folder: Path) -> Iterator[str]:
    for line in block.text.splitlines():
        yield from _json(block._replace(text=line), folder)


def _toml(block: Block, _folder: Path) -> Iterator[str]:
    try:
        tomllib.loads(block.text)
    except tomllib.TOMLDecodeError as error:
        yield str(error)


def _proto(block: Block, _folder: Path) -> Iterator[str]:
    """Messages and services that it shows are ours, unless it says that it is another's."""
    if block.marks[:1] == ("of",):
        return
    for name in re.findall(r"^\s*(?:message|service) (\w+)", block.text, re.MULTILINE):
        if not _is_of_ours(name):
            yield f"turnout.v1 has no {name}"


CHECKS: Mapping[str, Callable[[Block, Path], Iterator[str]]] = {
    "yaml": _yaml,
    "python": _python,
    "sh": _shell,
    "bash": _shell,
    "console": _console,
    "json": _json,
    "jsonl": _json_lines,
    "toml": _toml,
    "proto": _proto,
}
