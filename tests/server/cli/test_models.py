import json
from collections.abc import Sequence

import pytest
from rich.console import Console

from server.cli.models import table
from tests.server.cli import samples
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb

SHOWN = """\
model    endpoints                    accuracy     last hour               price
────────────────────────────────────────────────────────────────────────────────
small    1 of 2 up           78.1% (76.0-80.1)  12,040 asked     $0.10 / Mtok in
2024-11  10.0.0.12:8001 out       1,480 grades         $3.10    $0.40 / Mtok out
oip      until 15:06:48 UTC
tensors  7 in flight
serving

reader   1 up                94.0% (80.0-99.0)       0 asked  $0.00010 / request
openai   0 in flight          no grades: prior         $0.00   $0.00080 / busy s
text
drained"""


def test_models_in_80_columns() -> None:
    assert _shown(80) == SHOWN


@pytest.mark.parametrize(
    "words",
    [
        "serving",
        "drained",
        "1 of 2 up",
        "10.0.0.12:8001 out",
        "until 15:06:48 UTC",
        "oip",
        "tensors",
        "openai",
        "text",
        "7 in flight",
        "1,480 grades",
        "no grades: prior",
        "$3.10",
        "$0.40 / Mtok out",
        "$0.00080 / busy s",
    ],
)
def test_the_list_of_models_tells_how_each_does(words: str) -> None:
    assert words in _shown(100)


def test_a_model_without_endpoints_is_not_said_to_be_down() -> None:
    own = pb.ModelStatus(model=pb.Model(name="own", enabled=True))
    shown = _shown(100, [own])
    assert "none: callers" in shown
    assert "0 up" not in shown


def test_decisions_without_usage_are_told_beside_what_is_known_to_have_been_spent() -> None:
    own = pb.ModelStatus(requests=9, unreported=7, unreported_nano_usd=40_000_000)
    shown = _shown(100, [own])
    assert "7 unreported" in shown
    assert "about $0.04" in shown


def test_models_are_listed(run: Run, address: str) -> None:
    result = run("models", "--admin", address)
    assert result.exit_code == 0
    assert "small" in result.stdout


def test_json_has_every_model(run: Run, address: str) -> None:
    models = json.loads(run("models", "--json", "--admin", address).stdout)["models"]
    assert [model["model"]["name"] for model in models] == ["small", "reader"]
    assert models[1]["endpoints"][0]["ejected"] is False


@pytest.mark.parametrize(
    ("verb", "enabled", "words"),
    [("drain", False, "small is drained"), ("enable", True, "small is enabled")],
)
def test_a_model_is_drained_and_enabled_and_nothing_else_of_it_changes(
    run: Run, address: str, answers: Answers, verb: str, enabled: bool, words: str
) -> None:
    result = run("models", verb, "small", "--admin", address)
    assert result.exit_code == 0
    assert words in result.stdout
    assert answers.updated.model == pb.Model(name="small", enabled=enabled)
    assert list(answers.updated.update_mask.paths) == ["enabled"]
    assert not answers.updated.allow_missing


@pytest.mark.parametrize("verb", ["drain", "enable"])
def test_json_of_a_change_is_the_model(run: Run, address: str, verb: str) -> None:
    result = run("models", verb, "small", "--admin", address, "--json")
    assert json.loads(result.stdout)["name"] == "small"


def test_options_before_a_sub_command_are_not_dropped_in_silence(run: Run, address: str) -> None:
    result = run("models", "--admin", address, "drain", "small")
    assert result.exit_code == 2
    assert "give options after 'drain'" in result.stderr


def _shown(width: int, models: Sequence[pb.ModelStatus] | None = None) -> str:
    console = Console(width=width, _environ={})
    with console.capture() as capture:
        console.print(table(pb.ListModelsResponse(models=models or samples.models())))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
