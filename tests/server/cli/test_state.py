"""`turnout state`: the file as people read it, and forgetting it."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from server.control.kept_file import write_whole
from server.control.remembered import taken
from server.control.state_file import FILE_NAME, packed
from tests.server.cli.conftest import Run
from tests.server.configs import plain
from tests.server.control.test_remembered import learned


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder of the command as `run` runs it."""
    made = tmp_path / "turnout"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def file(folder: Path) -> Path:
    """What a service has learned there."""
    content = b"".join(packed(taken(*learned()), written_s=1_000.0, version="0.1.0"))
    write_whole(folder / FILE_NAME, content)
    return folder / FILE_NAME


@pytest.fixture
def running(folder: Path) -> Iterator[None]:
    """A service holds the folder."""
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("file")
def test_what_is_kept_is_shown_in_figures(run: Run) -> None:
    result = run("state", "show")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.stdout.startswith("Written ")
    assert "by Turnout 0.1.0" in result.stdout
    assert ["2", "requests,", "of", "a", "cell"] in lines
    assert ["team", "$0.20"] in lines
    assert ["small", "100.0%"] in lines
    assert ["code", "40"] in lines


@pytest.mark.usefixtures("file")
def test_json_has_all_that_the_file_has(run: Run) -> None:
    found = json.loads(run("state", "show", "--json").stdout)
    assert (found["written_s"], found["version"]) == (1_000.0, "0.1.0")
    assert found["spending"]["budgets"]["team"]["nano_usd"] > 0


def test_where_nothing_is_kept_it_says_so(run: Run, folder: Path) -> None:
    result = run("state", "show")
    assert result.exit_code == 1
    assert f"nothing is kept in {folder}" in " ".join(result.stderr.split())


def test_a_damaged_file_is_named_with_what_is_wrong(run: Run, file: Path) -> None:
    write_whole(file, b"{}")
    result = run("state", "show")
    assert result.exit_code == 1
    assert "it is no gzip of ours" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "changed",
    [
        {"accuracy": {"pairs": []}},
        {"accuracy": {"pairs": [], "models": [["small", ["a", "b"]]]}},
        {"spending": {"budgets": [1]}},
        {"demand": {"rows": [[["code"], 1.0]], "watched_s": 0}},
        {"outcomes": {"rows": 7}},
    ],
)
def test_a_file_of_another_shape_is_named_with_what_becomes_of_it(
    run: Run, file: Path, changed: dict[str, dict[str, object]]
) -> None:
    plain = {**taken(*learned()), **changed}
    write_whole(file, b"".join(packed(plain, written_s=1_000.0, version="0.1.0")))
    result = run("state", "show")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "it holds what we do not write" in " ".join(result.stderr.split())


def test_reset_removes_it_without_asking_where_told_to(run: Run, file: Path) -> None:
    result = run("state", "reset", "--yes")
    assert result.exit_code == 0
    assert not file.exists()
    assert "the next start learns anew" in " ".join(result.stdout.split())


def test_reset_asks_and_takes_no_for_an_answer(run: Run, file: Path) -> None:
    assert run("state", "reset").exit_code == 1  # nobody answers
    assert file.exists()


@pytest.mark.usefixtures("running")
def test_reset_is_refused_while_a_service_runs(run: Run, file: Path) -> None:
    result = run("state", "reset", "--yes")
    assert result.exit_code == 1
    assert "would write it again: stop it first" in " ".join(result.stderr.split())
    assert file.exists()


def test_reset_goes_on_behind_a_service_that_has_ended(run: Run, file: Path) -> None:
    (file.parent / "lock").touch()
    assert run("state", "reset", "--yes").exit_code == 0
    assert not file.exists()


def test_reset_of_nothing_says_so(run: Run, folder: Path) -> None:
    result = run("state", "reset", "--yes")
    assert result.exit_code == 1
    assert os.listdir(folder) == []


def test_json_of_a_reset_names_the_file(run: Run, file: Path) -> None:
    assert json.loads(run("state", "reset", "--yes", "--json").stdout) == {"removed": str(file)}


@pytest.mark.parametrize("verb", [["show"], ["reset", "--yes"]], ids=" ".join)
@pytest.mark.parametrize("kind", ["a file", "below a file", "a loop"])
def test_a_state_folder_that_is_none_is_told_with_what_to_do(
    run: Run, tmp_path: Path, verb: list[str], kind: str
) -> None:
    if kind == "a loop":
        (tmp_path / "turnout").symlink_to(tmp_path / "turnout")
    else:
        (tmp_path / "turnout").touch()
    if kind == "below a file":
        config = tmp_path / "turnout.yaml"
        config.write_text(yaml.safe_dump(plain((("state_dir",), str(tmp_path / "turnout/below")))))
        verb = [*verb, "--config", str(config)]
    result = run("state", *verb)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    assert "name another state_dir, or the configuration of the service" in result.stderr


def test_what_cannot_be_removed_is_told(run: Run, folder: Path) -> None:
    (folder / FILE_NAME).mkdir()
    result = run("state", "reset", "--yes")
    assert result.exit_code == 1
    assert f"{folder / FILE_NAME} cannot be removed: Is a directory" in result.stderr


def test_a_lock_that_cannot_be_opened_is_told(run: Run, file: Path) -> None:
    (file.parent / "lock").mkdir()
    result = run("state", "reset", "--yes")
    assert result.exit_code == 1
    assert "lock cannot be opened: Is a directory: ask as the user that serves" in result.stderr
    assert file.exists()
