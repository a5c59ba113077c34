"""Runs in a file, a JSON line each, so that one that is stopped goes on where it was."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.learning.floors import FloorRun, Setting

Run = Mapping[str, Any]
# Lines of runs that do not say what they are of.
USUAL = "mmlu_pro"


class Key(NamedTuple):
    """What runs are of one row."""

    of: str  # the set, and what is unusual
    priors: str
    audit_rate: float
    floor: float


class RunsFile:
    """Adds each run as soon as it is over, and knows which there are."""

    def __init__(self, path: Path, of: str) -> None:
        self._path, self._of = path, of
        lines = _whole_lines(path)
        self._orders = {key: {run["order"] for run in runs} for key, runs in runs_of(lines).items()}

    def missing(self, setting: Setting, orders: Sequence[int]) -> list[int]:
        """Those of these orders that were not run yet."""
        known = self._orders.get(self._key(setting), set())
        return [order for order in orders if order not in known]

    def add(self, setting: Setting, run: FloorRun) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line_of(self._of, setting, run) + "\n")

    def _key(self, setting: Setting) -> Key:
        return Key(self._of, setting.priors, setting.audit_rate, setting.floor)


def line_of(of: str, setting: Setting, run: FloorRun) -> str:
    return json.dumps({"of": of} | asdict(setting) | asdict(run))


def runs_of(lines: Sequence[str]) -> dict[Key, list[Run]]:
    """By row; an order that was run twice counts once."""
    found: dict[Key, dict[int, Run]] = {}
    for line in lines:
        run = json.loads(line)
        key = Key(run.get("of", USUAL), run["priors"], run["audit_rate"], run["floor"])
        found.setdefault(key, {})[run["order"]] = run
    return {key: list(by_order.values()) for key, by_order in sorted(found.items(), key=_order)}


def _order(entry: tuple[Key, object]) -> tuple[str, str, float, float]:
    key = entry[0]
    return key.of, key.priors, -key.audit_rate, key.floor


def _whole_lines(path: Path) -> list[str]:
    """Without what was left of a line when its writer was stopped, which is cut off."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def label(of_set: str, trace: str, requests: int, usual: int, *, on_tuning: bool) -> str:
    """What runs are of."""
    return ", ".join(_said(of_set, trace, requests, usual, on_tuning=on_tuning))


def _said(of_set: str, trace: str, requests: int, usual: int, *, on_tuning: bool) -> Iterator[str]:
    yield of_set
    if trace:
        yield f"arrivals of {trace}"
    if requests != usual:
        yield f"{requests:,} requests"
    if on_tuning:
        yield "on tuning"
