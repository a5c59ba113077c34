"""`turnout check` and `turnout schema`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from server.cli.figures import percent
from server.cli.terminal import FAILED, AsJson, console, print_problems, print_warnings
from server.config.as_json import json_schema
from server.config.classes import ClassConfig
from server.config.diagnostics import ConfigError, Diagnostic
from server.config.file import load, warnings
from server.config.schema import Config
from server.named_files.check import named_files_findings


def check(
    file: Annotated[Path, typer.Argument(help="The configuration; see docs/configuration.md.")],
    as_json: AsJson = False,
) -> None:
    """List everything that is wrong with a configuration file, with its line.

    What is only worth a thought is listed as a warning: exit status 0 says that it can be served.
    """
    try:
        config = load(file, further_check=named_files_findings)
    except ConfigError as error:
        if as_json:
            _print_json(error.diagnostics)
        else:
            print_problems(console(), file, error)
        raise typer.Exit(FAILED) from None
    found = warnings(file, config)
    if as_json:
        _print_json(found)
        return
    print_warnings(console(), file, found)
    console().print(Text.assemble(f"{file}: ", ("ok", "bold green")), soft_wrap=True)
    for line in _summary(config):
        console().print(f"  {line}", soft_wrap=True)


def schema() -> None:
    """Print the JSON Schema of the file, for editors that check it while you write."""
    print(json.dumps(json_schema(), indent=2))


def _print_json(diagnostics: tuple[Diagnostic, ...]) -> None:
    found = {
        "ok": all(one.severity == "warning" for one in diagnostics),
        "problems": [asdict(one) for one in diagnostics],
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))


def _summary(config: Config) -> Iterator[str]:
    for word, entries in (("models", config.models), ("budgets", config.budgets)):
        names = ", ".join(entry.name for entry in entries)
        yield f"{len(entries)} {word}: {names}"
    yield f"{len(config.classes)} classes: {', '.join(map(_class, config.classes))}"


def _class(traffic_class: ClassConfig) -> str:
    if traffic_class.floor is None:
        return traffic_class.name
    basis = "assumed" if traffic_class.grades == "none" else "audited"
    return f"{traffic_class.name} (floor {percent(traffic_class.floor)}, {basis})"
