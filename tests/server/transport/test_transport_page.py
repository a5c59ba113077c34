"""docs/transport.md names every limit with its default."""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from server.transport import limit_names
from server.transport.channel.keepalive import Keepalive
from server.transport.channel.limits import ChannelLimits
from server.transport.http2.limits import KIB, MIB, Limits, Rate
from server.transport.serving.limits import ServerLimits

PAGE = (Path(__file__).parents[3] / "docs" / "transport.md").read_text()
GIB = 1024 * MIB
HTTP2, SERVER = Limits(), ServerLimits()
TABLES: Mapping[str, Mapping[str, object]] = {
    "http2/limits.py": {field.name: getattr(HTTP2, field.name) for field in fields(HTTP2)},
    "serving/limits.py": {
        field.name: getattr(SERVER, field.name) for field in fields(SERVER) if field.name != "http2"
    },
    "channel/limits.py": ChannelLimits()._asdict(),
}


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
