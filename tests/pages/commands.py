"""Commands that a page tells people to type: do they exist, with these options?"""

import contextlib
import importlib.util
import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from benchmarks.__main__ import app as benchmarks
from benchmarks.fuzz.__main__ import app as fuzz
from benchmarks.learning.__main__ import app as learning
from benchmarks.soak.__main__ import app as soak
from server.cli.app import app as turnout
from tests.pages.reading import ROOT

_MODULES: Mapping[str, typer.Typer] = {
    "benchmarks": benchmarks,
    "benchmarks.fuzz": fuzz,
    "benchmarks.learning": learning,
    "benchmarks.soak": soak,
    "server.cli": turnout,
}
# Of these we know which there are; of `pip` and others we do not.
_OURS = ("server", "benchmarks", "turnout", "optimizer")
_FOLDERS = frozenset({"clients", "deploy", "docs", "protos", "requirements"})
_BEFORE = frozenset({"sudo", "nohup", "exec", "time", "env", "then", "do", "!", "&&"})
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?(.*?)^\s*\1$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
# Files are examples.
_NO_FILE = re.compile(r": file '.*' does not exist")
_ASSIGNMENT = re.compile(r"\w+=")
_SEPARATORS = frozenset("();|&\n")
_REDIRECTIONS = frozenset("<>&")
_DESCRIPTOR = re.compile(r"\d(?=[<>])")


def typed(text: str) -> str:
    """What of a session people type: the lines after a prompt, and those that go on."""
    lines: list[str] = []
    goes_on = False
    for line in text.splitlines():
        if line.startswith("$ ") or (goes_on and lines):
            lines.append(line.removeprefix("$ ").removeprefix("> "))
            goes_on = line.endswith("\\")
    return "\n".join(lines)


def simple_commands(script: str) -> Iterator[list[str]]:
    """Each command of a shell script, without what is assigned for it and where it writes.

    Raises ValueError at a quote that does not end.
    """
    script = _HERE_DOCUMENT.sub("", _COMMENT.sub("", script.replace("\\\n", " ")))
    script = _DESCRIPTOR.sub("", script)
    lexer = shlex.shlex(script, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    for token in (*lexer, "\n"):
        if set(token) <= _SEPARATORS and token != ">&":
            yield from _command(words)
            words = []
        else:
            words.append(token)


def _command(words: list[str]) -> Iterator[list[str]]:
    kept: list[str] = []
    to_file = False
    for word in words:
        if not kept and (word in _BEFORE or _ASSIGNMENT.match(word)):
            continue
        if to_file or set(word) <= _REDIRECTIONS:
            to_file = not to_file
            continue
        kept.append(word)
    if kept:
        yield kept


def problems(words: Sequence[str]) -> Iterator[str]:
    """What is wrong with a command, as far as it is one of ours."""
    name, *arguments = words
    program = Path(name).name
    if program == "turnout":
        yield from parse_problems(turnout, arguments)
    elif program == "make":
        yield from _make_problems(arguments)
    elif program.startswith("python") and arguments[:1] == ["-m"]:
        yield from _module_problems(arguments[1], arguments[2:])
    yield from _path_problems(arguments)


def parse_problems(app: typer.Typer, arguments: Sequence[str]) -> Iterator[str]:
    """The words of the application itself, which does nothing here."""
    command = typer.main.get_command(app)
    for each in _all_commands(command):
        each.callback = _does_nothing
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            command.main(list(arguments), prog_name="turnout", standalone_mode=False)
    except typer.TyperException as error:
        if not _NO_FILE.search(error.format_message()):
            yield error.format_message()


def _does_nothing(**_: object) -> None:
    return None


def _all_commands(command: object) -> Iterator[TyperCommand]:
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            yield from _all_commands(each)
    elif isinstance(command, TyperCommand):
        yield command


def _make_problems(arguments: Sequence[str]) -> Iterator[str]:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in arguments:
        if not word.startswith("-") and "=" not in word and word not in targets:
            yield f"the Makefile has no target {word!r}"


def _module_problems(module: str, arguments: Sequence[str]) -> Iterator[str]:
    if module.partition(".")[0] in _OURS and not _is_module(module):
        yield f"there is no module {module}"
    elif module in _MODULES:
        yield from parse_problems(_MODULES[module], arguments)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _path_problems(arguments: Sequence[str]) -> Iterator[str]:
    """Files of this repository; others' are examples."""
    for word in arguments:
        folder, slash, rest = word.removeprefix("./").partition("/")
        is_ours = slash and rest and folder in _FOLDERS
        if is_ours and not list(ROOT.glob(f"{folder}/{rest}".rstrip("/"))):
            yield f"there is no {word} in this repository"
