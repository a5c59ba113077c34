"""From plain data to a configuration, with every mistake in words."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from server.config.check import findings
from server.config.diagnostics import ConfigError, Diagnostic, Path, did_you_mean
from server.config.hints import address_hint, number_hint, with_hint
from server.config.match import FORM_TAGS
from server.config.schema import Config

# Nobody reads further, and a file of 4 MiB has room for 200,000.
DIAGNOSTICS_MAX = 1_000
SHOWN_CHARS_MAX = 60  # of a value or key that is wrong

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

# Problems are logged. A secret may stand where a rule looks at metadata, or, by mistake, where the
# name of its file or variable belongs.
_SECRETS = frozenset(
    {"metadata", "admin_token_file", "key_file", "api_key_env", "api_key_file", "headers"}
)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_UNKNOWN_KEY = "extra_forbidden"
_NUMBERS = frozenset({"float_type", "int_type"})
_ADDRESSES = frozenset(("listeners", key) for key in ("data", "openai", "admin", "prometheus"))
_COMMA = "a number is written without commas, such as 5000"
# pydantic closes the path of a mapping's key with "[key]", and names the form of a rule.
_NOT_IN_THE_FILE = frozenset({"[key]", *FORM_TAGS})
# By pydantic's error types; braces name what it tells about the error.
_MESSAGES: Mapping[str, str] = {
    "string_type": "must be text (in quotes), not {input}",
    "float_type": "must be a number, not {input}",
    "finite_number": "must be a finite number, not {input}",
    "int_type": "must be a whole number, not {input}",
    "bool_type": "must be true or false, not {input}",
    "tuple_type": "must be a list, not {input}",
    "dict_type": "must be a mapping of keys to values, not {input}",
    "model_type": "must be a mapping of keys to values, not {input}",
    "greater_than": "must be above {gt:,.10g}, not {input}",
    "greater_than_equal": "must be at least {ge:,.10g}, not {input}",
    "less_than": "must be below {lt:,.10g}, not {input}",
    "less_than_equal": "must be at most {le:,.10g}, not {input}",
    "literal_error": "must be {expected}, not {input}",
    "string_too_long": "must be at most {max_length} characters long",
    "too_long": "must have at most {max_length:,} entries, not {actual_length:,}",
    "string_pattern_mismatch": (
        "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, "
        "not {input}"
    ),
}


def parse(
    data: object, line_of: Callable[[Path], int | None] | None = None, *, within: Path = ()
) -> Config:
    """The configuration that the data says; raises ConfigError with every problem in it.

    With `within`, only with those that concern this entry.
    """
    text = json.dumps(data)
    config: Config | None = None
    try:
        # Strict as an editor's schema check is: "yes" is no boolean and "5" no number.
        config = Config.model_validate_json(text, strict=True)
        found = findings(config)
    except ValidationError as error:
        found = _problems(text, error.errors(include_url=False))
    listed = _listed((f for f in found if _concerns(f[0], within)), line_of)
    if config is None or listed:
        raise ConfigError(tuple(listed))
    return config


def _concerns(path: Path, entry: Path) -> bool:
    return all(a == b for a, b in zip(path, entry, strict=False))


def _listed(
    found: Iterator[tuple[Path, str]], line_of: Callable[[Path], int | None] | None
) -> list[Diagnostic]:
    """In the order of the file."""
    listed = [
        Diagnostic(shown_path(path), None if line_of is None else line_of(path), message)
        for path, message in islice(found, DIAGNOSTICS_MAX)
    ]
    listed.sort(key=lambda one: one.line or 0)
    if len(listed) == DIAGNOSTICS_MAX:
        listed.append(
            Diagnostic("", None, f"only the first {DIAGNOSTICS_MAX:,} problems are listed")
        )
    return listed


def _problems(text: str, errors: list[ErrorDetails]) -> Iterator[tuple[Path, str]]:
    """Those of single keys, then those between the keys that make sense."""
    wrong = {_path(error): error["type"] == _UNKNOWN_KEY for error in errors}
    for error in errors:
        path = _path(error)
        yield path, _message(path, error)
    data: Json = json.loads(text)
    if isinstance(data, dict):
        sound, indexes = _sound_part(data, wrong)
        # What a section lacks is what its unknown keys were to be, if it has no others.
        misspelt = {path[:-1] for path, unknown in wrong.items() if unknown}
        emptied = {path for path in misspelt if not _at(data, path)}
        for path, message in findings(sound, {str(path[0]) for path in wrong}):
            if (at := _moved_back(path, indexes)) not in emptied:
                yield at, message


def _path(error: ErrorDetails) -> Path:
    return tuple(part for part in error["loc"] if part not in _NOT_IN_THE_FILE)


def _message(path: Path, error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == _UNKNOWN_KEY:
        keys = _section_at(path[:-1]).model_fields
        key = str(path[-1])[:SHOWN_CHARS_MAX]
        # Of {amount_usd: 5,000} YAML makes an amount of 5 and a key 000.
        meant = _COMMA if key.isdecimal() else did_you_mean(key, keys)
        return f"unknown key {key!r}: {meant}"
    if kind == "missing":
        field = _section_at(path[:-1]).model_fields[str(path[-1])]
        return f"is missing. {field.description}"
    if kind in _MESSAGES:
        shown = "what is written there" if _SECRETS.intersection(path) else _shown(error["input"])
        message = _MESSAGES[kind].format(input=shown, **error.get("ctx", {}))
        return with_hint(message, _hint(path, kind, error["input"]))
    return error["msg"]


def _hint(path: Path, kind: str, given: object) -> str:
    """What to write instead, where that is plain."""
    if kind in _NUMBERS and isinstance(given, str):
        return number_hint(given)
    is_address = path in _ADDRESSES or "endpoints" in path
    if kind == "string_type" and is_address and isinstance(given, int):
        return address_hint(str(given))
    return ""


def _shown(value: object) -> str:
    """A value as YAML would have it, cut where it is long."""
    for kind, word in ((dict, "a mapping"), (list, "a list"), (type(None), "nothing")):
        if isinstance(value, kind):
            return word
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."


def _section_at(path: Path) -> type[BaseModel]:
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, str):
            section = _section_in(section.model_fields[part].annotation) or section
    return section


def _section_in(annotation: object) -> type[BaseModel] | None:
    """The section in tuple[Section, ...], Section | None and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


def _sound_part(
    data: dict[str, Json], wrong: Mapping[Path, bool]
) -> tuple[Config, Mapping[str, list[int]]]:
    """The data without unknown keys (True in wrong) and without entries that have other mistakes.

    Tells beside it which entries are left of each list.
    """
    for path in (path for path, unknown in wrong.items() if unknown):
        _delete(data, path)
    spoiled = {path[:2] for path, unknown in wrong.items() if not unknown}
    sound: dict[str, Json] = {"models": [], "classes": []}
    indexes = {}
    for section, value in data.items():
        if (section,) in spoiled:
            continue
        if isinstance(value, list):
            left = [i for i in range(len(value)) if (section, i) not in spoiled]
            indexes[section] = left
            sound[section] = [value[i] for i in left]
        elif isinstance(value, dict):
            sound[section] = {k: v for k, v in value.items() if (section, k) not in spoiled}
        else:
            sound[section] = value
    return Config.model_validate_json(json.dumps(sound), strict=True), indexes


def _delete(data: Json, path: Path) -> None:
    section = _at(data, path[:-1])
    if isinstance(section, dict):
        del section[str(path[-1])]


def _at(node: Json, path: Path) -> Json:
    for part in path:
        if isinstance(node, dict):
            node = node[str(part)]
        elif isinstance(node, list):
            node = node[int(part)]
    return node


def _moved_back(path: Path, indexes: Mapping[str, list[int]]) -> Path:
    """The path in the file of a path in its sound part."""
    if len(path) > 1 and isinstance(path[1], int):
        return (path[0], indexes[str(path[0])][path[1]], *path[2:])
    return path


def shown_path(path: Path) -> str:
    """As people write it: models[2].price.request_usd, match.labels['a key']."""
    return "".join(map(_shown_part, path)).removeprefix(".")


def _shown_part(part: str | int) -> str:
    if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    # Quoted, so that a key of any characters stays one line and harmless to a terminal.
    return f"[{part[:SHOWN_CHARS_MAX]!r}]" if isinstance(part, str) else f"[{part}]"
