"""Requests whose texts the operator lets us keep, with what was reported on them.

A line each, JSON: {"id", "text", "domain", "intent"} for a request, as it was classified, and
{"id", "true_domain", "true_intent"} for a report on it, of which a later one adds to an earlier
one. The files are for their owner alone. When one is full it becomes the older one, whose
predecessor goes: at most twice as many lines as are asked for are there at a time. A report is kept
only where its text is, and few on each: or callers could push the texts out with reports.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import structlog

from server.control.kept_file import FileRefused, open_own, set_aside, write_whole

_NEWER, _OLDER = "requests.jsonl", "requests.old.jsonl"
# How many requests wait for a write; of more a sample is kept.
WAITING_MAX = 2_000
# A caller reports at once, a worker tells of the text within a second.
EARLY_MAX = 1_000
# One for the domain, one for the intent, and a correction of each.
REPORTS_MAX = 4
# A decision id has up to 4,096, a text 512 of up to six each as JSON has them, two labels have few.
LINE_CHARS_MAX = 8_192

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A text, how it was classified, and what was reported; empty: nothing."""

    text: str
    domain: str
    intent: str
    true_domain: str = ""
    true_intent: str = ""


class KeptRequests:
    """Lines that wait to be written, and their files."""

    def __init__(self, folder: Path, at_most: int) -> None:
        self._files = _Files(folder)
        self._at_most = at_most
        self._waiting: list[str] = []
        self._reports_left: dict[str, int] = {}  # of the newest texts, by decision id
        self._early: dict[str, dict[str, str]] = {}  # reports whose text is not there yet

    def configure(self, at_most: int) -> None:
        """Sets how many are kept; the next write removes what is beyond."""
        self._at_most = at_most
        self._forget_oldest()
        if not at_most:
            self._early.clear()

    def know(self, decision_ids: Iterable[str]) -> None:
        """Takes reports on these too, whose texts were kept before this start."""
        newer = self._reports_left
        self._reports_left = {}
        for decision_id in decision_ids:
            self._expect_reports(decision_id)
        self._reports_left |= newer
        self._forget_oldest()

    def add(self, decision_id: str, text: str, *, domain: str, intent: str) -> None:
        """Has a request wait to be written, if any are to be kept."""
        if self._wait(id=decision_id, text=text, domain=domain, intent=intent):
            self._expect_reports(decision_id)

    def report(self, decision_id: str, *, domain: str = "", intent: str = "") -> None:
        """Has what a request was really about wait, if its text is kept or may still come."""
        told = {"true_domain": domain, "true_intent": intent}
        fields = {key: label for key, label in told.items() if label}
        left = self._reports_left.get(decision_id)
        if left is None and fields and self._at_most:
            self._early[decision_id] = self._early.pop(decision_id, {}) | fields
            if len(self._early) > EARLY_MAX:
                del self._early[next(iter(self._early))]
        elif left and fields and self._wait(id=decision_id, **fields):
            self._reports_left[decision_id] = left - 1

    def writing(self) -> Callable[[], None]:
        """A function that writes all that waits now. It blocks, raises OSError, and runs alone."""
        waiting, self._waiting = self._waiting, []
        return partial(self._files.write, waiting, at_most=self._at_most)

    def _wait(self, **fields: str) -> bool:
        """False where nothing is to be kept, or too much waits."""
        if not self._at_most or len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(json.dumps(fields, ensure_ascii=False))
        return True

    def _expect_reports(self, decision_id: str) -> None:
        self._reports_left[decision_id] = REPORTS_MAX
        self._forget_oldest()
        early = self._early.pop(decision_id, None)
        if early is not None and self._wait(id=decision_id, **early):
            self._reports_left[decision_id] -= 1

    def _forget_oldest(self) -> None:
        """Takes reports only on as many texts as are surely still in the files."""
        while len(self._reports_left) > self._at_most:
            del self._reports_left[next(iter(self._reports_left))]


class _Files:
    """The newer and the older file, as a thread writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at_most = 0  # lines in each, of which neither has more
        self._lines = 0  # of the newer one

    def write(self, lines: Sequence[str], *, at_most: int) -> None:
        if not at_most:
            for name in (_NEWER, _OLDER):
                (self._folder / name).unlink(missing_ok=True)
        elif not 0 < self._at_most <= at_most:  # there may be more, of before this start too
            for name in (_NEWER, _OLDER):
                _set_aside_unless_ours(self._folder / name)
            _trim(self._folder / _OLDER, at_most)
            self._lines = _trim(self._folder / _NEWER, at_most)
        self._at_most = at_most
        if lines and at_most:
            self._append(lines)

    def _append(self, lines: Sequence[str]) -> None:
        newer = self._folder / _NEWER
        if self._lines + len(lines) > self._at_most and newer.exists():
            newer.replace(self._folder / _OLDER)
            self._lines = 0
        kept = lines[-self._at_most :]
        descriptor = os.open(newer, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
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


def kept_ids(folder: Path) -> list[str]:
    """Decision ids of all texts that are kept, the oldest first; blocks. Raises OSError."""
    lines = (line for name in (_OLDER, _NEWER) for line in _lines(folder / name))
    return [decision_id for decision_id in map(_text_id, lines) if decision_id]


def _text_id(line: str) -> str:
    """The decision id of a line that holds a request; empty for other lines."""
    fields = _fields(line)
    return fields.get("id", "") if "text" in fields else ""


def _set_aside_unless_ours(path: Path) -> None:
    """A classifier would be compared by what others could have written."""
    try:
        open_own(path).close()
    except FileNotFoundError:
        return
    except FileRefused as error:
        _log.warning("kept requests are set aside", file=str(set_aside(path)), error=str(error))


def _trim(path: Path, at_most: int) -> int:
    """Leaves only the newest lines; says how many there are."""
    lines = sum(1 for _ in _lines(path))
    if lines > at_most:
        newest = islice(_lines(path), lines - at_most, None)
        write_whole(path, "".join(newest).encode(errors="replace"))
    return min(lines, at_most)


def _is_report(line: str) -> bool:
    """Whether a line holds no text; a line that is no report either adds nothing anyway."""
    return '"text": ' not in line


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():  # to open a FIFO would wait for somebody at its other end
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            while line := file.readline(LINE_CHARS_MAX):  # of a longer one parts, which are nothing
                yield line
    except FileNotFoundError:
        return


def _read(line: str, kept: dict[str, KeptRequest]) -> None:
    """Adds a request, or what was reported on one; a line that was cut off adds nothing."""
    fields = _fields(line)
    decision_id = fields.pop("id", "")
    with contextlib.suppress(TypeError):  # other fields than ours
        if "text" in fields:
            kept[decision_id] = KeptRequest(**fields)
        elif decision_id in kept:
            kept[decision_id] = replace(kept[decision_id], **fields)


def _fields(line: str) -> dict[str, str]:
    """Empty where the line is not one that we wrote."""
    if not line.startswith("{"):  # seen at once: a file may have a line a byte
        return {}
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if isinstance(fields, dict) and all(isinstance(value, str) for value in fields.values()):
        return fields
    return {}
