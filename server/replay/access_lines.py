"""Reads the access log of a service: what was asked of whom, what it took, and how it was graded.

docs/replay.md says what lines there are. One that was cut short, as by a machine that stopped, is
passed over if it is the last of its file.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from server.money import NANO_PER_USD
from server.replay.log_files import LogInvalid
from server.replay.recording import Floats, Recording, Requests
from server.routing.learned_classifier.names import domain_name

_NAMES = "*.jsonl*"
_TABLES = ("score", "input_tokens", "output_tokens", "cost_usd", "latency_s")
_READ_CLASSES = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens")
_WRITTEN_CLASSES = ("output_tokens", "reasoning_tokens")
_ANSWERED = "answered"

Line = Mapping[str, Any]


class _Request(NamedTuple):
    """One that was decided."""

    time_s: float
    line: Line


def is_access_log(log: Path) -> bool:
    """Whether it is a file of lines, or a folder of such files."""
    return ".jsonl" in log.name if log.is_file() else any(log.glob(_NAMES))


def read_access_log(log: Path) -> Recording:
    """The recording in a file or a folder; raises LogInvalid."""
    requests: list[_Request] = []
    reports: list[Line] = []
    for path in [log] if log.is_file() else sorted(log.glob(_NAMES)):
        for number, line in _lines(path):
            if line.get("event") == "report":
                reports.append(line)
            elif line.get("event") == "request" and "class" in line:  # else it was refused unread
                requests.append(_Request(_time_s(path, number, line), line))
    if not requests:
        raise LogInvalid(f"{log}: there is no line of a request in it: see docs/replay.md")
    requests.sort(key=lambda one: one.time_s)
    return _recording(requests, reports)


def _lines(path: Path) -> Iterator[tuple[int, Line]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                if text.endswith("\n"):
                    yield number, _parsed(path, number, text)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise LogInvalid(f"{path}: it cannot be read as lines of JSON: {error}") from None


def _parsed(path: Path, number: int, text: str) -> Line:
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise LogInvalid(f"{path}, line {number}: it is no object of JSON")
    return line


def _time_s(path: Path, number: int, line: Line) -> float:
    try:
        return datetime.fromisoformat(line["time"]).timestamp()
    except (KeyError, TypeError, ValueError):
        raise LogInvalid(f"{path}, line {number}: its time is none of ISO 8601") from None


def _recording(requests: Sequence[_Request], reports: Iterable[Line]) -> Recording:
    lines = [one.line for one in requests]
    begins_s = requests[0].time_s
    models = tuple(sorted({_name(one["model"]) for line in lines for one in _attempts(line)}))
    found = {name: np.full((len(lines), len(models)), np.nan) for name in _TABLES}
    tables = _Tables({name: column for column, name in enumerate(models)}, found)
    row_of: dict[str, int] = {}
    for row, line in enumerate(lines):
        row_of[str(line.get("decision", ""))] = row
        for attempt in _attempts(line):
            if attempt.get("fate") == _ANSWERED:
                tables.put(row, _name(attempt["model"]), _took(attempt))
    for report in reports:
        at = row_of.get(str(report.get("decision", "")))
        if at is not None:
            _put_report(tables, at, lines[at], report)
    return Recording(
        requests=Requests(
            ids=tuple(f"request {row}" for row in range(len(lines))),
            texts=("",) * len(lines),
            domains=tuple(str(line.get("domain", "")) for line in lines),
            traffic_classes=tuple(str(line["class"]) for line in lines),
            tenants=tuple(str(line.get("tenant", "")) for line in lines),
            input_tokens=tuple(int(_number(line, "read_tokens") or 0) for line in lines),
            arrival_s=np.array([one.time_s - begins_s for one in requests]),
        ),
        models=models,
        **found,
    )


class _Tables(NamedTuple):
    column: Mapping[str, int]
    tables: Mapping[str, Floats]

    def put(self, row: int, model: str, said: Mapping[str, float | None]) -> None:
        column = self.column.get(model)
        for name, value in said.items():
            if column is not None and value is not None:
                self.tables[name][row, column] = value


def _put_report(tables: _Tables, row: int, line: Line, report: Line) -> None:
    """Of the model that answered: as the report says, else as the request's line does."""
    said = {"score": _number(report, "quality")}
    if not report.get("failed") and "latency_s" in report:
        said |= _took(report)
    tables.put(row, _name(report.get("model") or line["model"]), said)


def _attempts(line: Line) -> Sequence[Line]:
    """All of a request: where there was one, the line is its own."""
    return line.get("attempts") or [line]


def _took(attempt: Line) -> dict[str, float | None]:
    cost_nano_usd = _number(attempt, "cost_nano_usd")
    return {
        "input_tokens": _sum(attempt, _READ_CLASSES),
        "output_tokens": _sum(attempt, _WRITTEN_CLASSES),
        "cost_usd": None if cost_nano_usd is None else cost_nano_usd / NANO_PER_USD,
        "latency_s": _number(attempt, "latency_s"),
    }


def _sum(line: Line, names: Iterable[str]) -> float | None:
    known = [value for name in names if (value := _number(line, name)) is not None]
    return sum(known) if known else None


def _number(line: Line, name: str) -> float | None:
    value = line.get(name)
    return float(value) if isinstance(value, int | float) else None


def _name(model: object) -> str:
    return domain_name(str(model))
