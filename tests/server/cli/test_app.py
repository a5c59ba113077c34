import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from server.cli.app import app
from server.version import VERSION
from tests.server.cli.conftest import Run

COLUMNS = 100
# serve prints its log, which is JSON where nobody reads it on a terminal; schema prints JSON. chat
# is for people: programs have `infer --json`.
# What has subcommands alone prints their list.
WITHOUT_JSON = {"", "chat", "serve", "schema", "state"}


def _commands(name: tuple[str, ...], command: Any) -> Iterator[tuple[str, Any]]:
    yield " ".join(name), command
    for word, inner in getattr(command, "commands", {}).items():
        yield from _commands((*name, word), inner)


# Found by walking the command, so that a new one is tested at once.
COMMANDS = dict(_commands((), typer.main.get_command(app)))


def _help(run: Run, name: str) -> str:
    result = run(*name.split(), "--help", columns=COLUMNS)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_and_gives_an_example(run: Run, name: str) -> None:
    shown = " ".join(_help(run, name).split())
    says = COMMANDS[name].help.split("\n\n")[0]
    assert " ".join(says.split()) in shown
    # By its other name a noun has the examples of the first.
    called = name.replace("models", "model")
    assert (f"Example: turnout {called}" if name else "A first session: turnout check") in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option_and_argument(name: str) -> None:
    unexplained = [p.name for p in COMMANDS[name].params if not getattr(p, "help", "")]
    assert unexplained == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_in_100_columns(run: Run, name: str) -> None:
    lines = _help(run, name).splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert not [line for line in lines if "…" in line]  # where rich cut something off


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - WITHOUT_JSON))
def test_what_prints_has_json(name: str) -> None:
    options = [option for param in COMMANDS[name].params for option in param.opts]
    assert "--json" in options


def test_the_help_says_what_exit_statuses_mean(run: Run) -> None:
    shown = " ".join(run("--help").stdout.split())
    assert "Exit status: 0 done; 1 it cannot be done, the message says what to do; 2" in shown


def test_the_version_is_printed(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"turnout {VERSION}\n")


def test_a_mistyped_command_is_no_failure_of_the_service(run: Run) -> None:
    assert run("plam").exit_code == 2


@pytest.mark.parametrize("module", ["server.supervisor", "scipy", "uvloop"])
def test_commands_that_do_not_serve_load_nothing_of_a_service(module: str) -> None:
    command = f"import sys, server.cli.app; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


@pytest.mark.parametrize("argument", ["caf\udce9", "\ud800".encode("utf-8", "surrogatepass")])
def test_text_that_is_not_utf_8_is_no_traceback(argument: str | bytes) -> None:
    command = (sys.executable, "-m", "server.cli", "route", "--text", argument)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("turnout: ")
    assert done.stderr.endswith("is not UTF-8: give text in UTF-8\n")
