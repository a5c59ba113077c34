"""Who changed what while the service ran: its last updates, with what each of them changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter

from server.config.changes import Change
from server.control.kept_file import read_or_set_aside

# Several thousand updates of a field or two; one gRPC message takes them all to who asks.
LOG_BYTES_MAX = 2 * 2**20
# Of one update: as many as the log has room for with the longest names and values, 4 KB each.
CHANGES_KEPT_MAX = 400
# The end of the year 9999, which is as far as a timestamp goes.
TIME_S_MAX = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks for an update."""

    who: str  # as the listener knows them: "uid 1000", "token from 10.0.0.7"; or what else did it
    operator: str = ""  # what they say of themselves; nobody checks it


@dataclass(frozen=True, slots=True)
class Update:
    """One configuration took the place of another while the service ran."""

    time_s: Annotated[float, Field(ge=0, le=TIME_S_MAX)]
    author: Author
    changes: tuple[Change, ...]
    left_out: Annotated[int, Field(ge=0, lt=2**32)] = 0  # changes beyond those

    @classmethod
    def of(cls, changes: Sequence[Change], author: Author, *, now_s: float) -> "Update":
        """With as many changes as are kept."""
        kept = tuple(changes[:CHANGES_KEPT_MAX])
        return cls(now_s, author, kept, len(changes) - len(kept))


_UPDATE: TypeAdapter[Update] = TypeAdapter(Update)


class _Line(NamedTuple):
    update: Update
    content: bytes


@dataclass(frozen=True, slots=True)
class UpdateLog:
    """Replaced whole, never edited. The oldest go where it would have more bytes than it may."""

    _lines: tuple[_Line, ...] = ()

    def newest_first(self) -> list[Update]:
        """All that is kept."""
        return [line.update for line in reversed(self._lines)]

    def with_update(self, update: Update) -> "UpdateLog":
        """The log with one more."""
        lines = (*self._lines, _Line(update, _UPDATE.dump_json(update) + b"\n"))
        size_bytes, first = 0, len(lines)
        while first and size_bytes + len(lines[first - 1].content) <= LOG_BYTES_MAX:
            first -= 1
            size_bytes += len(lines[first].content)
        return UpdateLog(lines[first:])

    def to_bytes(self) -> bytes:
        """A line of JSON each, the oldest first."""
        return b"".join(line.content for line in self._lines)

    @classmethod
    def from_bytes(cls, content: bytes) -> "UpdateLog":
        """What `to_bytes` made; raises ValueError where it is something else."""
        lines = content.splitlines(keepends=True)
        return cls(tuple(_Line(_UPDATE.validate_json(line), line) for line in lines))


def read_log(path: Path) -> UpdateLog:
    """What was kept. What is not ours is named in the service's log and set aside."""
    lost = "who changed what is lost, it is kept anew"
    kept = read_or_set_aside(path, UpdateLog.from_bytes, bytes_max=LOG_BYTES_MAX, lost=lost)
    return kept or UpdateLog()
