"""deploy/turnout.service is a unit that systemd takes."""

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from server.cli.app import app

UNIT = Path(__file__).parents[2] / "deploy" / "turnout.service"


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # as systemd reads them
    parser.read_string(UNIT.read_text())
    return parser["Service"]


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_to_say_about_it(tmp_path: Path) -> None:
    tool, stand_in = shutil.which("systemd-analyze"), shutil.which("true")
    assert tool is not None
    # What it starts has to exist where it is verified.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/turnout/bin/turnout", str(stand_in)))
    said = subprocess.run(
        [tool, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_it_checks_serves_and_reloads_the_same_file_by_the_same_program() -> None:
    commands = [service()[name].split() for name in ("ExecStartPre", "ExecStart", "ExecReload")]
    assert [words[1] for words in commands] == ["check", "serve", "reload"]
    assert {words[1] for words in commands} <= set(cast("TyperGroup", get_command(app)).commands)
    assert {(words[0], words[2]) for words in commands} == {
        ("/opt/turnout/bin/turnout", "/etc/turnout/turnout.yaml")
    }


def test_it_gives_calls_the_time_that_a_drain_takes() -> None:
    assert service()["KillMode"] == "mixed"  # the supervisor alone is told, and tells the others
    assert int(service()["TimeoutStopSec"]) > 30


def test_its_state_folder_is_as_turnout_demands() -> None:
    assert service()["StateDirectoryMode"] == "0700"
    assert service()["User"] != "root"
