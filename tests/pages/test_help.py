"""Each example that a `--help` gives can be typed."""

import re
import shlex
from collections.abc import Iterator

import pytest
import typer

from server.cli.app import app
from tests.pages.commands import problems


def epilogs(typer_app: typer.Typer) -> Iterator[str]:
    """Of the application and of all its commands."""
    yield from filter(None, _texts(typer.main.get_command(typer_app)))


def _texts(command: object) -> Iterator[str | None]:
    yield getattr(command, "epilog", None)
    for each in getattr(command, "commands", {}).values():
        yield from _texts(each)


EXAMPLES = [
    example for text in epilogs(app) for example in re.findall(r"\[bold\](turnout .*?)\[/\]", text)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_help_can_be_typed(example: str) -> None:
    assert list(problems(shlex.split(example.partition(">")[0]))) == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10
