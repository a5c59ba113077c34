import subprocess
import sys

import pytest

from tests.server.cli.conftest import Run

COMMANDS = [
    ("serve",),
    ("check",),
    ("schema",),
    ("route",),
    ("classify",),
    ("plan",),
    ("models",),
    ("models", "drain"),
    ("models", "enable"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example(run: Run, command: tuple[str, ...]) -> None:
    shown = run(*command, "--help").stdout
    assert f"Example: turnout {' '.join(command)}" in shown


def test_the_help_says_what_exit_statuses_mean(run: Run) -> None:
    shown = " ".join(run("--help").stdout.split())
    assert "Exit status: 0 done; 1 it cannot be done, the message says what to do; 2" in shown


def test_a_mistyped_command_is_no_failure_of_the_service(run: Run) -> None:
    assert run("plam").exit_code == 2


@pytest.mark.parametrize("module", ["server.supervisor", "scipy", "uvloop"])
def test_commands_that_do_not_serve_load_nothing_of_a_service(module: str) -> None:
    command = f"import sys, server.cli.app; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
