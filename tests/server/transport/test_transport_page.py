"""docs/transport.md names every module, every limit with its default, and what each frame costs."""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from server.transport import limit_names
from server.transport.channel.keepalive import Keepalive
from server.transport.channel.limits import ChannelLimits
from server.transport.http2 import frames
from server.transport.http2.errors import ConnectionFault, StreamFault
from server.transport.http2.limits import KIB, MIB, Limits, Rate
from server.transport.http2.states import WRONG, State
from server.transport.serving.limits import ServerLimits

ROOT = Path(__file__).parents[3]
MODULES = ROOT / "server" / "transport"
PAGE = (ROOT / "docs" / "transport.md").read_text()
GIB = 1024 * MIB
HTTP2, SERVER = Limits(), ServerLimits()
TABLES: Mapping[str, Mapping[str, object]] = {
    "http2/limits.py": {field.name: getattr(HTTP2, field.name) for field in fields(HTTP2)},
    "serving/limits.py": {
        field.name: getattr(SERVER, field.name) for field in fields(SERVER) if field.name != "http2"
    },
    "channel/limits.py": ChannelLimits()._asdict(),
}


def named_modules() -> list[str]:
    """The modules that tables of modules name, each as often as they do."""
    tables = re.findall(r"\| module \| what it does \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    return [
        name
        for table in tables
        for row in table.splitlines()
        for name in re.findall(r"`([a-z0-9_/]+\.py)`", row.split(" | ")[0])
    ]


def test_each_module_has_one_place_in_a_table() -> None:
    modules = {str(path.relative_to(MODULES)) for path in MODULES.rglob("*.py")}
    found = {name for name in modules if not name.endswith("__init__.py")}
    assert sorted(named_modules()) == sorted(found)


def test_the_rooms_are_the_folders() -> None:
    table = PAGE.partition("## Rooms\n")[2].partition("\n## ")[0]
    folders = {path.name for path in MODULES.iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"^\| `(\w+)/` ", table, re.MULTILINE)) == folders


@pytest.mark.parametrize("path", sorted(MODULES.rglob("__init__.py")))
def test_a_folder_itself_holds_no_code(path: Path) -> None:
    assert path.read_text() == ""


FRAMES = (frames.HEADERS, frames.DATA, frames.RST_STREAM, frames.WINDOW_UPDATE)
COSTS = {ConnectionFault: "the connection", StreamFault: "the stream"}


def cost(kind: int, state: State) -> str:
    """What a frame costs the peer, as the page writes it."""
    wrong = WRONG[kind].get(state)
    if wrong is not None:
        return f"{COSTS[wrong.fault]}: {wrong.code.name}"
    return "ignored" if state in (State.CLOSED, State.RESET, State.SKIPPED) else "taken"


def test_the_page_says_what_each_frame_costs_in_each_state() -> None:
    section = PAGE.partition("## The states of a stream\n")[2].partition("\n## ")[0]
    table = [line.strip("| ").split(" | ") for line in re.findall(r"^\|.*$", section, re.MULTILINE)]
    told = [[cell.partition(",")[0] for cell in row[1:]] for row in table[2:]]
    assert told == [[cost(kind, state) for kind in FRAMES] for state in State]


def rows(file: str) -> list[list[str]]:
    """The cells of the table that follows the mention of a file under Limits."""
    after = PAGE.partition("## Limits\n")[2].partition(f"(`{file}`)")[2]
    table = re.search(r"\n\n((?:\|.*\n)+)", after)
    assert table is not None
    return [line.strip("| ").split(" | ") for line in table[1].splitlines()[2:]]


def shown(name: str, value: object) -> str:
    """A default as the page writes it."""
    match value:
        case Rate(burst, per_s):
            return f"{burst:,}, then {per_s:g} a second"
        case Keepalive():
            return ", ".join(f"{seconds:g} s" for seconds in value)
        case int() if "bytes" in name:
            sizes = ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))
            size, unit = next((size, unit) for size, unit in sizes if value % size == 0)
            return f"{value // size:,} {unit}"
        case int():
            return f"{value:,}"
        case _:
            return f"{value:g} s"


@pytest.mark.parametrize("file", TABLES)
def test_each_limit_is_there_with_its_default(file: str) -> None:
    told = {name.strip("`"): default for name, default, _, _ in rows(file)}
    assert told == {name: shown(name, value) for name, value in TABLES[file].items()}


def test_it_says_which_limits_are_not_counted() -> None:
    silent = {
        (file, row[0].strip("`"))
        for file in TABLES
        for row in rows(file)
        if "not counted" in row[3]
    }
    counted = {
        ("http2/limits.py", name)
        for name in TABLES["http2/limits.py"]
        if name in limit_names.SERVER_LIMITS
    }
    assert not silent & counted
    assert len(counted) + len({row for row in silent if row[0] == "http2/limits.py"}) == len(
        TABLES["http2/limits.py"]
    )
