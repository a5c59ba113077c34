"""deploy/install.sh leaves what is there alone, and nothing half done behind."""

import os
import subprocess
from pathlib import Path

from tests.deploy.dockerfile import ROOT

SCRIPT = ROOT / "deploy" / "install.sh"


def install(*arguments: str | Path, **environ: str) -> tuple[int, str]:
    """Its exit status, and what it says."""
    done = subprocess.run(
        ["sh", str(SCRIPT), *map(str, arguments)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    assert install(tmp_path) == (1, f"{tmp_path} exists: name another folder, or remove it\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_a_folder_it_says_what_it_wants() -> None:
    status, said = install()
    assert status != 0
    assert "name a folder that does not exist yet, such as /opt/turnout" in said


def test_an_installation_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    """It would look like one that is whole."""
    broken = tmp_path / "python"
    broken.write_text('#!/bin/sh\nmkdir -p "$3/bin"\nexit 7\n')
    broken.chmod(0o755)
    status, _ = install(tmp_path / "turnout", PYTHON=str(broken), TMPDIR=str(tmp_path))
    assert status == 7
    assert [path.name for path in tmp_path.iterdir()] == ["python"]
