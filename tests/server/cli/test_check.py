import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.server.cli.conftest import Run
from tests.server.configs import plain

EXAMPLE = Path(__file__).parents[3] / "deploy/example.yaml"
SHADOWED = """\
models:
  - name: m
    protocol: oip
    endpoints: ["h:1"]
    price: {request_usd: 1}
    prior_accuracy: 0.9
classes:
  - {name: strict, match: {tenant: [a]}}
  - name: same
    match: {tenant: [a]}
  - {name: rest, default: true}
"""
BAD = """\
models: []
classes:
  - name: chat
    default: true
    flor: 0.9
"""


def test_the_example_is_ok_and_summed_up(run: Run) -> None:
    result = run("check", EXAMPLE)
    assert result.exit_code == 0
    assert f"{EXAMPLE}: ok" in result.stdout
    assert "6 models: small, large, reader, hosted, own, vectors" in result.stdout
    assert "support (floor 85.0%, audited), everything-else (floor 80.0%, assumed)" in result.stdout


def test_a_class_without_a_floor_is_only_named(run: Run, tmp_path: Path) -> None:
    file = _file(tmp_path, yaml.safe_dump(plain()))
    assert "2 classes: strict (floor 90.0%, assumed), rest\n" in run("check", file).stdout


def test_every_problem_has_a_line_that_editors_can_jump_to(run: Run, tmp_path: Path) -> None:
    file = _file(tmp_path, BAD)
    result = run("check", file)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{file}:1: models: is empty: give at least one model",
        f"{file}:5: classes[0].flor: unknown key 'flor': did you mean 'floor'?",
        "2 problems: correct the file and check it again",
    ]


def test_a_problem_of_the_whole_file_has_no_key(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "nowhere.yaml"
    lines = run("check", file).stdout.splitlines()
    assert lines[0] == f"{file}: the file cannot be read: No such file or directory"
    assert lines[1].startswith("1 problem:")


def test_problems_as_json(run: Run, tmp_path: Path) -> None:
    result = run("check", "--json", _file(tmp_path, BAD))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert found["problems"][1] == {
        "path": "classes[0].flor",
        "line": 5,
        "message": "unknown key 'flor': did you mean 'floor'?",
        "severity": "error",
    }


def test_a_warning_is_shown_and_stops_nothing(run: Run, tmp_path: Path) -> None:
    file = _file(tmp_path, SHADOWED)
    result = run("check", file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == [
        f"{file}:10: warning: classes[1].match: never gets a request: class 'strict' has the same "
        "rule and comes before it",
        f"{file}: ok",
    ]


def test_warnings_as_json_have_their_severity(run: Run, tmp_path: Path) -> None:
    found = json.loads(run("check", "--json", _file(tmp_path, SHADOWED)).stdout)
    assert found["ok"] is True
    assert [(p["path"], p["line"], p["severity"]) for p in found["problems"]] == [
        ("classes[1].match", 10, "warning")
    ]


def test_ok_as_json(run: Run) -> None:
    assert json.loads(run("check", "--json", EXAMPLE).stdout) == {"ok": True, "problems": []}


def test_the_schema_that_is_printed_accepts_the_example(run: Run) -> None:
    schema = json.loads(run("schema").stdout)
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(BAD), schema)


def test_nothing_is_served_by_a_file_with_problems(run: Run, tmp_path: Path) -> None:
    result = run("serve", _file(tmp_path, BAD))
    assert result.exit_code == 1
    assert "classes[0].flor: unknown key" in result.stderr


def _file(folder: Path, text: str) -> Path:
    path = folder / "turnout.yaml"
    path.write_text(text)
    return path
