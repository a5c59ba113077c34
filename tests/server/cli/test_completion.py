"""`turnout` as a shell finds it: a script on the path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Asks as bash does when somebody presses the tabulator.
COMPLETE = """\
source ~/.bash_completions/turnout.sh
COMP_WORDS=(turnout {words}) COMP_CWORD={at}
_turnout_completion turnout
echo "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    script = tmp_path / "bin" / "turnout"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom server.cli.__main__ import main\n\nmain()\n")
    script.chmod(0o755)
    return tmp_path


def bash(home: Path, command: str) -> str:
    paths = [str(home / "bin"), os.environ.get("PATH", "")]
    imports = [path for path in sys.path if path]  # as here, also where PYTHONPATH is not set
    environ = os.environ | {
        "HOME": str(home),
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": os.pathsep.join(imports),
    }
    # With a second command bash does not become the first: its child is to find a shell above it.
    done = subprocess.run(
        ["bash", "-c", f"{command}\ntrue"], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("words", "at", "completed"),
    [
        ("bud", 1, "budget"),
        ("class l", 2, "list"),
        ("route --dry", 2, "--dry-run"),
        ("inf", 1, "infer"),
        ("chat --sys", 2, "--system"),
    ],
)
def test_completion_that_is_installed_completes_commands_and_options(
    home: Path, words: str, at: int, completed: str
) -> None:
    said = bash(home, "turnout --install-completion")
    assert f"bash completion installed in {home}" in said
    assert bash(home, COMPLETE.format(words=words, at=at)).split() == [completed]


def test_completion_can_be_looked_at_first(home: Path) -> None:
    assert "complete -o default -F _turnout_completion turnout" in bash(
        home, "turnout --show-completion"
    )
    assert not (home / ".bash_completions").exists()
