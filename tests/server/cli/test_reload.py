import json
from pathlib import Path

import pytest
import yaml

from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from tests.server.configs import plain
from turnout.v1 import admin_pb2 as pb

CHANGE = pb.ConfigChange(path="window_s", before="5.0", after="2.0", text="window_s: 5.0 -> 2.0")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "turnout.yaml"
    file.write_text(yaml.safe_dump(plain()))
    return file


def test_the_file_is_sent_and_its_changes_are_said(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    answers.reloaded = pb.ReloadConfigResponse(in_force=True, changes=[CHANGE])
    result = run("reload", file, "--admin", address)
    assert result.exit_code == 0
    assert answers.reload == pb.ReloadConfigRequest(content=file.read_bytes())
    assert result.stdout.splitlines() == [f"{file}: in force", "  window_s: 5.0 -> 2.0"]


def test_changes_that_an_answer_has_no_room_for_are_counted(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    answers.reloaded = pb.ReloadConfigResponse(
        in_force=True, changes=[CHANGE], changes_left_out=2_000
    )
    result = run("reload", file, "--admin", address)
    assert result.stdout.splitlines()[1:] == ["  window_s: 5.0 -> 2.0", "  and 2,000 more"]


def test_a_dry_run_says_that_nothing_is_changed(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    answers.reloaded = pb.ReloadConfigResponse(changes=[CHANGE])
    result = run("reload", file, "--dry-run", "--admin", address)
    assert result.exit_code == 0
    assert answers.reload.dry_run
    assert result.stdout.splitlines()[0] == f"{file}: nothing is changed yet"


def test_problems_that_only_the_service_sees_are_listed_as_check_lists_them(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    problem = pb.ConfigProblem(path="listeners.data", line=3, message="cannot change")
    answers.reloaded = pb.ReloadConfigResponse(problems=[problem])
    result = run("reload", file, "--admin", address)
    assert result.exit_code == 1
    assert f"{file}:3: listeners.data: cannot change" in result.stderr
    assert not result.stdout


def test_a_file_with_mistakes_is_not_sent(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    file.write_text("models: []\nclasses: []\nflor: 1\n")
    result = run("reload", file, "--admin", address)
    assert result.exit_code == 1
    assert f"{file}:3: flor: unknown key" in result.stderr
    assert answers.reload == pb.ReloadConfigRequest()


def test_a_file_that_is_gone_is_said(run: Run, tmp_path: Path) -> None:
    result = run("reload", tmp_path / "gone.yaml")
    assert result.exit_code == 1
    assert "the file cannot be read: No such file" in result.stderr


def test_the_service_is_found_by_what_the_file_says(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    token = file.with_name("token")
    token.write_text("s3cret\n")
    listeners = {"admin": address, "admin_token_file": str(token)}
    file.write_text(yaml.safe_dump(plain((("listeners",), listeners))))
    result = run("reload", file)
    assert result.exit_code == 0
    assert answers.metadata["authorization"] == "Bearer s3cret"
    assert "s3cret" not in result.output


def test_a_worker_that_is_behind_is_named(
    run: Run, answers: Answers, address: str, file: Path
) -> None:
    answers.reloaded = pb.ReloadConfigResponse(in_force=True, workers_behind=["worker-1"])
    result = run("reload", file, "--admin", address)
    assert result.exit_code == 0
    assert "not yet at worker-1" in result.stdout


def test_the_answer_as_json(run: Run, answers: Answers, address: str, file: Path) -> None:
    answers.reloaded = pb.ReloadConfigResponse(in_force=True, changes=[CHANGE])
    result = run("reload", file, "--json", "--admin", address)
    assert json.loads(result.stdout)["changes"][0]["text"] == "window_s: 5.0 -> 2.0"
