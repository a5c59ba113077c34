"""What every command says in the same way: answers as JSON, and why there is none."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from server.config.diagnostics import ConfigError, Diagnostic
from server.config.file import load
from server.config.schema import Config

FAILED = 1
_UNTIL = (
    "It holds at once, and until the service stops or reads its file again: what should outlast "
    "that belongs in the file. "
    "'turnout changes' shows who changed what."
)

Answer = TypeVar("Answer", bound=Message)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; its fields are stable.")]


def console(*, stderr: bool = False) -> Console:
    """A terminal for text as it is: what a service or a file says is no markup."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def json_of(message: Message, *, indent: int | None = 2) -> str:
    """The message as protobuf has it, its fields named as in the protos, none left out."""
    return MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        ensure_ascii=False,
        indent=indent,
    )


def show(answer: Answer, view: Callable[[Answer], RenderableType], *, as_json: bool) -> None:
    """Prints an answer for a person to look at, or as JSON."""
    if as_json:
        print(json_of(answer))
    else:
        console().print(view(answer))


# Where a key is: a key may stand there by mistake.
_NEVER_TOLD = frozenset({"api_key_env", "api_key_file"})


def show_changed(name: str, found: Message, keys: Iterable[str], *, as_json: bool) -> None:
    """Prints what an entry says now where it was changed, and for how long; or it all as JSON."""
    if as_json:
        print(json_of(found))
        return
    for key in keys:
        said = "changed" if key in _NEVER_TOLD else _said(found, key)
        console().print(Text.assemble(f"{name}: {key} is ", (said, "bold green")))
    console().print(Text(_UNTIL, "dim"), soft_wrap=True)


def _said(found: Any, key: str) -> str:
    *sections, last = key.split(".")
    for section in sections:
        found = getattr(found, section)
    field = found.DESCRIPTOR.fields_by_name[last]
    if field.has_presence and not found.HasField(last):
        return "none"
    value = getattr(found, last)
    if field.is_repeated:
        return ", ".join(value) or "none"
    if isinstance(value, Message):
        return " ".join(str(value).split())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def fail(message: str) -> NoReturn:
    """Says why a command ends without having done what it was asked."""
    console(stderr=True).print(Text.assemble(("turnout: ", "bold red"), message), soft_wrap=True)
    raise typer.Exit(FAILED)


def load_or_fail(path: Path) -> Config:
    """The configuration in the file; ends the command where it has problems."""
    try:
        return load(path)
    except ConfigError as error:
        fail_config(path, error)


def fail_config(path: Path, error: ConfigError) -> NoReturn:
    """Says what is wrong with a configuration that a command needs."""
    print_problems(console(stderr=True), path, error)
    raise typer.Exit(FAILED)


def print_problems(where: Console, path: Path, error: ConfigError) -> None:
    """One line each, as compilers have them, so that editors can jump there."""
    _print_each(where, path, error.diagnostics)
    count = len(error.diagnostics)
    summary = f"{count:,} problem{'s' if count > 1 else ''}: correct the file and check it again"
    where.print(Text(summary, "bold red"), soft_wrap=True)


def print_warnings(where: Console, path: Path, warnings: Iterable[Diagnostic]) -> None:
    """One line each, as problems, and marked."""
    _print_each(where, path, warnings, ("warning: ", "yellow"))


def _print_each(
    where: Console, path: Path, diagnostics: Iterable[Diagnostic], mark: tuple[str, str] = ("", "")
) -> None:
    for one in diagnostics:
        line = "" if one.line is None else f":{one.line}"
        key = f"{one.path}: " if one.path else ""
        text = Text.assemble((f"{path}{line}: ", "dim"), mark, (key, "bold"), one.message)
        where.print(text, soft_wrap=True)


def plain_table(*headers: str) -> Table:
    """A table with a line below its head; a header that ends with ">" has numbers below it."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="bold",
        header_style="dim",
    )
    for header in headers:
        numbers = header.endswith(">")
        table.add_column(
            header.removesuffix(">"),
            justify="right" if numbers else "left",
            no_wrap=numbers,
            overflow="fold",
        )
    return table
