"""YAML with the line of every key, bounded in every direction.

PyYAML parses; what becomes of its events is decided here, for its own composer recurses until the
process dies and keeps the last of two equal keys, and for its idea of scalars is YAML 1.1, where
no is false, 1:30 is 90 and 1e-6 is text. Here they are YAML 1.2, as editors and JSON have them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import yaml

from server.config.diagnostics import ConfigError, Diagnostic, Path
from server.config.parse import Json, shown_path

# 1,000 models, 1,000 classes and 10,000 keywords have 100,000 values.
# What an alias stands for counts each time, and long text as one for each 64 characters.
VALUES_MAX = 200_000
VALUE_CHARS = 64
DEPTH_MAX = 32  # the configuration's own is 6

# Longer numbers than these say nothing and take long to read.
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")
_WORDS: Mapping[str, Json] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map"))


@dataclass(frozen=True, slots=True)
class Node:
    """Plain data, and where it stands."""

    line: int  # of its key, where it has one
    data: Json
    values: int  # in it, itself among them
    depth: int  # of the nesting in it
    children: Mapping[str | int, "Node"]

    def line_of(self, path: Path) -> int:
        """The line of what the path names, or of what encloses it where it is missing."""
        node = self
        for part in path:
            if part not in node.children:
                break
            node = node.children[part]
        return node.line


def read_yaml(text: str) -> tuple[Node, list[Diagnostic]]:
    """The one document of the text, and the mistakes that leave the rest readable.

    Raises ConfigError for the one that does not.
    """
    events = _events(text)
    next(events)  # the stream begins
    if isinstance(next(events), yaml.StreamEndEvent):
        refuse(None, "the file is empty: give at least models and classes")
    reader = _Reader(events)
    root = reader.node(next(events), ())
    next(events)  # the document ends
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        refuse(_line(after), "a second document begins: a configuration is one")
    return root, reader.diagnostics


def refuse(line: int | None, message: str) -> NoReturn:
    """Raises ConfigError for the file as a whole."""
    raise ConfigError((Diagnostic("", line, message),))


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(filter(None, (error.problem, error.context)))
        refuse(None if mark is None else mark.line + 1, f"this is not YAML: {message}")
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        refuse(line, "a control character stands here: take it out")


def _line(event: yaml.Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line + 1


class _Reader:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._values_left = VALUES_MAX

    def node(self, event: yaml.Event, path: Path) -> Node:
        """The node that begins with the event."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        before = self._values_left
        self._spend(event, 1)
        self._refuse_depth(event, len(path))
        self._refuse_tag(event, path)
        children: Mapping[str | int, Node] = {}
        data: Json
        if isinstance(event, yaml.ScalarEvent):
            data = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            children = self._entries(path)
            data = [child.data for child in children.values()]
        else:
            children = self._keys(path)
            data = {str(key): child.data for key, child in children.items()}
        depth = 1 + max((child.depth for child in children.values()), default=-1)
        node = Node(_line(event), data, before - self._values_left, depth, children)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, path: Path) -> Node:
        target = self._anchors.get(event.anchor or "")
        if target is None:
            refuse(
                _line(event), f"*{event.anchor} stands for nothing: no &{event.anchor} before it"
            )
        self._spend(event, target.values)
        self._refuse_depth(event, len(path) + target.depth)
        return replace(target, line=_line(event))

    def _spend(self, event: yaml.Event, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            refuse(
                _line(event),
                f"there are more than {VALUES_MAX:,} values, with what aliases stand for",
            )

    def _entries(self, path: Path) -> Mapping[str | int, Node]:
        entries: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            entries[len(entries)] = self.node(event, (*path, len(entries)))
        return entries

    def _keys(self, path: Path) -> Mapping[str | int, Node]:
        keys: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                refuse(line, "a key must be text")
            key = event.value
            self._spend(event, 1 + len(key) // VALUE_CHARS)
            value = self.node(next(self._events), (*path, key))
            if key in keys:
                message = f"is given in line {keys[key].line} already: leave one out"
                self.diagnostics.append(Diagnostic(shown_path((*path, key)), line, message))
            else:
                keys[key] = replace(value, line=line)
        return keys

    def _scalar(self, event: yaml.ScalarEvent) -> Json:
        text = event.value
        self._spend(event, len(text) // VALUE_CHARS)
        plain = event.implicit[0]
        return _plain(text) if plain else text

    def _refuse_depth(self, event: yaml.Event, depth: int) -> None:
        if depth > DEPTH_MAX:
            refuse(_line(event), f"the nesting must be at most {DEPTH_MAX} deep")

    def _refuse_tag(self, event: yaml.Event, path: Path) -> None:
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            return
        if event.tag is not None and event.tag not in _TAGS:
            message = f"the tag {event.tag[:64]!r} is not read: leave it out"
            self.diagnostics.append(Diagnostic(shown_path(path), _line(event), message))


def _plain(text: str) -> Json:
    """What a text without quotes says."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
