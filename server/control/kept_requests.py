"""Requests whose texts the operator lets us keep, with what was reported on them.

A line each, JSON: {"id", "text", "domain", "intent"} for a request, as it was classified, and
{"id", "true_domain", "true_intent", "quality"} for a report on it, of which a later one adds to an
earlier one. The files are for their owner alone. When one is full it becomes the older one, whose
predecessor goes: at most twice as many lines as are asked for are there at a time.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_NEWER, _OLDER = "requests.jsonl", "requests.old.jsonl"
# Between two writes; beyond it a sample is kept.
WAITING_MAX = 2_000


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A text, how it was classified, and what was reported; empty and None: nothing."""

    text: str
    domain: str
    intent: str
    true_domain: str = ""
    true_intent: str = ""
    quality: float | None = None


class KeptRequests:
    """Lines that wait to be written, and their files."""

    def __init__(self, folder: Path, at_most: int) -> None:
        self._folder = folder
        self._at_most = at_most
        self._waiting: list[str] = []
        self._lines = 0  # of the newer file, once it was counted
        self._counted = False

    def configure(self, at_most: int) -> None:
        """Keeps so many from now on; with 0 what was kept is removed by the next write."""
        self._at_most = at_most

    def add(self, **fields: object) -> None:
        """Waits to be written, where anything is to be kept."""
        if self._at_most and len(self._waiting) < WAITING_MAX:
            self._waiting.append(json.dumps(fields, ensure_ascii=False))

    def write(self) -> None:
        """Writes what waits; blocks. Raises OSError."""
        waiting, self._waiting = self._waiting, []
        if not self._at_most:
            for name in (_NEWER, _OLDER):
                (self._folder / name).unlink(missing_ok=True)
            self._counted = False
        elif waiting:
            self._append(waiting)

    def _append(self, lines: Sequence[str]) -> None:
        newer = self._folder / _NEWER
        if not self._counted:
            self._lines, self._counted = sum(1 for _ in _lines(newer)), True
        if self._lines + len(lines) > self._at_most and newer.exists():
            newer.replace(self._folder / _OLDER)
            self._lines = 0
        kept = lines[-self._at_most :]
        descriptor = os.open(newer, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{line}\n" for line in kept)
        self._lines += len(kept)


def read_kept(folder: Path) -> list[KeptRequest]:
    """All that are kept, the oldest first, each with what was reported on it. Raises OSError."""
    kept: dict[str, KeptRequest] = {}
    lines = [line for name in (_OLDER, _NEWER) for line in _lines(folder / name)]
    # Requests first, for a report may be quicker than the worker that tells of its request.
    for line in sorted(lines, key=_is_report):
        _read(line, kept)
    return list(kept.values())


def _is_report(line: str) -> bool:
    """Lines that are neither add nothing wherever they stand."""
    return '"text": ' not in line


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from file
    except FileNotFoundError:
        return


def _read(line: str, kept: dict[str, KeptRequest]) -> None:
    """Adds a request, or what was reported on one; a line that was cut off adds nothing."""
    try:
        fields = json.loads(line)
        decision_id = fields.pop("id")
        if "text" in fields:
            kept[decision_id] = KeptRequest(**fields)
        elif decision_id in kept:
            kept[decision_id] = replace(kept[decision_id], **fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return
