import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from server.config import classes, file, models, rules, schema, section, state_dir, yaml_tree
from server.config.as_json import from_json, json_schema, to_json
from server.config.diagnostics import ConfigError, Diagnostic
from server.config.parse import parse
from server.config.schema import Config
from tests.server.configs import configs, documents, plain

ROOT = Path(__file__).parents[3]
SCHEMA = jsonschema.Draft202012Validator(json_schema())


@given(valid=configs())
@settings(max_examples=50)
def test_a_configuration_comes_back_from_json_as_it_was(valid: Config) -> None:
    assert from_json(to_json(valid)) == valid


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"models": [], "classes": 1}'])
def test_other_bytes_are_no_configuration(data: bytes) -> None:
    with pytest.raises(ConfigError, match="no configuration that Turnout wrote"):
        from_json(data)


def test_a_configuration_that_was_read_cannot_be_changed() -> None:
    read = parse(plain())
    with pytest.raises(ValueError, match="frozen"):
        read.window_s = 1.0  # type: ignore[misc] # what mypy knows, Python has to know too


@given(document=documents())
@settings(max_examples=30)
def test_the_schema_accepts_what_is_read(document: dict[str, object]) -> None:
    SCHEMA.validate(document)


def test_the_schema_accepts_the_example() -> None:
    SCHEMA.validate(yaml.safe_load((ROOT / "deploy/example.yaml").read_text()))


def test_the_schema_refuses_an_unknown_key() -> None:
    with pytest.raises(jsonschema.ValidationError, match="flor"):
        SCHEMA.validate(plain((("classes", 0, "flor"), 0.9)))


def test_every_key_is_explained_in_the_schema() -> None:
    assert [row.key for row in _rows() if not row.meaning] == []


def test_the_example_teaches_every_key() -> None:
    example = (ROOT / "deploy/example.yaml").read_text()
    assert [row.key for row in _rows() if f"{row.key}:" not in example] == []


def test_the_reference_has_every_key_with_its_default_and_meaning() -> None:
    reference = (ROOT / "docs/configuration.md").read_text()
    found = {
        (cells[1].strip(" `"), cells[3].strip(" `"), cells[4].strip())
        for line in reference.splitlines()
        if len(cells := line.split("|")) == 6
    }
    assert [row for row in _rows() if row not in found] == []


@pytest.mark.parametrize(
    ("words", "number", "unit"),
    [
        ("4 MiB", file.FILE_BYTES_MAX, 2**20),
        ("200,000 values", yaml_tree.VALUES_MAX, 1),
        ("32 levels", yaml_tree.DEPTH_MAX, 1),
        ("1,000 models", schema.MODELS_MAX, 1),
        ("1,000 classes", schema.CLASSES_MAX, 1),
        ("1,000 budgets", schema.BUDGETS_MAX, 1),
        ("64 domains", schema.DOMAINS_MAX, 1),
        ("8 size buckets", schema.SIZE_BUCKETS_MAX, 1),
        ("at most 256.", models.ENDPOINTS_MAX, 1),
        ("256 characters", section.TEXT_CHARS_MAX, 1),
        ("128 bytes", rules.KEYWORD_BYTES_MAX, 1),
        ("at most 10,000", rules.KEYWORDS_MAX, 1),
        ("at most 87 bytes", state_dir.STATE_DIR_BYTES_MAX, 1),
        ("at most 67,108,864", classes.REQUEST_BYTES_MAX, 1),
    ],
)
def test_the_reference_states_the_limits(words: str, number: int, unit: int) -> None:
    assert words in " ".join((ROOT / "docs/configuration.md").read_text().split())
    digits = "".join(character for character in words if character.isdigit())
    assert int(digits) * unit == number


def test_a_problem_says_where_and_what() -> None:
    error = ConfigError(
        (Diagnostic("window_s", 3, "must be above 0"), Diagnostic("", None, "is empty"))
    )
    assert str(error) == "window_s (line 3): must be above 0\nis empty"


class _Row(NamedTuple):
    key: str
    default: str
    meaning: str


def _rows() -> list[_Row]:
    schema: Any = json_schema()
    return [
        _Row(key, _default(value, key in section.get("required", ())), value.get("description", ""))
        for section in (schema, *schema["$defs"].values())
        for key, value in section["properties"].items()
    ]


def _default(value: Mapping[str, object], needed: bool) -> str:
    """As the reference writes it."""
    default = value.get("default")
    if needed:
        return "needed"
    if default in (None, "", []) or isinstance(default, dict):
        return "-"
    if isinstance(default, float):
        return f"{default:g}"
    return default if isinstance(default, str) else json.dumps(default)
