"""Commands within sentences: `turnout budget|class set NAME` says less than a whole line does.

Words in capitals and in brackets stand for others, so only names of commands and options are
looked at.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

import typer
from typer.core import TyperGroup

from server.cli.app import app
from tests.pages.commands import problems
from tests.pages.reading import Span

_TURNOUT = re.compile(r"(?:\.venv/bin/)?turnout ")


def span_problems(span: Span) -> list[str]:
    """With where it is."""
    return [f"{span}: `{span.text}`: {problem}" for problem in _problems(span.text)]


def _problems(text: str) -> Iterator[str]:
    if _TURNOUT.match(text):
        words = re.sub(r"[\[\]]", "", text.removesuffix("...")).split()[1:]
        for alternative in itertools.product(*(word.split("|") for word in words)):
            yield from _missing(alternative)
    elif text.startswith(("make ", "python -m ")):
        yield from problems(text.split())


def _missing(words: Sequence[str]) -> Iterator[str]:
    command = typer.main.get_command(app)
    left = list(words)
    while isinstance(command, TyperGroup) and left and not left[0].startswith("-"):
        name = left.pop(0)
        if name not in command.commands:
            yield f"there is no command {name!r}"
            return
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    known.update(other for parameter in command.params for other in parameter.secondary_opts)
    for word in left:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known | {"--help"}:
            yield f"there is no option {option}"
