"""What differs between two configurations, in words: for the log, for who asked, for an audit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from server.config.diagnostics import Findings, Path
from server.config.parse import shown_path
from server.config.schema import Config

# Of a value that is shown; a list of 256 endpoints has 5 KB.
SHOWN_CHARS_MAX = 200

# Their entries are told apart by name, wherever they stand.
_NAMED = ("domains", "models", "classes", "budgets")
_ENTRIES = frozenset((section,) for section in _NAMED)
# Their entries are tried in the order of the file.
_ORDERED = ("domains", "classes")
# Of these it is only told that they are others. Rules are long, and what they compare with metadata
# may be a secret; so may what stands where the name of a secret's file belongs.
_HIDDEN = {
    "match": "rule",
    "admin_token_file": "file",
    "key_file": "file",
    "api_key_file": "file",
    "api_key_env": "variable",
    "headers": "list",
}
# What processes are started with: where they listen, what they keep, how much they may hold.
FIXED = ("state_dir", "listeners", "access_log", "worker_memory_mib")


class Change(NamedTuple):
    """One difference."""

    path: str  # "models.big.price.request_usd"; entries go by their names
    before: str  # empty where it was not there, and where values are not shown
    after: str  # likewise
    text: str  # the whole, in a line


def changes(before: Config, after: Config) -> list[Change]:
    """Every difference, in the order of the file's keys. Values of rules are never shown."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    found: list[Change] = []
    for key in old:
        if key in _NAMED:
            found += _entries(key, old[key], new[key])
        else:
            found += _values((key,), old[key], new[key])
    return found


def fixed_findings(running: Config, other: Config) -> Findings:
    """What only a restart can change. Says no values: a secret may stand in a file's place."""
    old, new = running.model_dump(mode="json"), other.model_dump(mode="json")
    for key in FIXED:
        for path, _, _ in _differing((key,), old[key], new[key]):
            yield path, "cannot change while the service runs: restart it to change this"


def _entries(section: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    before, after = ({entry["name"]: entry for entry in entries} for entries in (old, new))
    for name in before:
        if name not in after:
            yield _named(section, name, "removed")
    for name in after:
        if name in before:
            yield from _values((section, name), before[name], after[name])
        else:
            yield _named(section, name, "added")
    was, is_now = [n for n in before if n in after], [n for n in after if n in before]
    if section in _ORDERED and was != is_now:
        yield _change((section,), _shown(was), _shown(is_now), what=f"{section}: another order")


def _named(section: str, name: str, done: str) -> Change:
    return Change(shown_path((section, name)), "", "", f"{section}: {name} {done}")


def _values(path: Path, old: Any, new: Any) -> Iterator[Change]:
    for at, before, after in _differing(path, old, new):
        if at[-1] in _HIDDEN and not _is_entry(at):
            text = f"{shown_path(at)}: another {_HIDDEN[str(at[-1])]}"
            yield Change(shown_path(at), "", "", text)
        else:
            yield _change(at, _shown(before), _shown(after), what=shown_path(at))


def _change(path: Path, before: str, after: str, *, what: str) -> Change:
    return Change(shown_path(path), before, after, f"{what}: {before} -> {after}")


def _differing(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    """The keys below the path whose values differ, each with both."""
    if old == new:
        return
    is_rule = path[-1] == "match" and not _is_entry(path)
    if is_rule or not isinstance(old or new, Mapping):
        yield path, old, new
        return
    old, new = old or {}, new or {}  # a section that is not given has none of its keys
    for key in dict.fromkeys((*old, *new)):
        yield from _differing((*path, key), old.get(key), new.get(key))


def _is_entry(path: Path) -> bool:
    """Whether it is a whole entry: its name may be that of a key."""
    return path[:-1] in _ENTRIES


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    # Quoted where it would not be seen, or be more than a line.
    is_plain = isinstance(value, str) and value and value.isprintable()
    text = value if is_plain else json.dumps(value, ensure_ascii=not is_plain)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."
