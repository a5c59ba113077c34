"""Reads the configuration file."""

from pathlib import Path

from server.config import Config, ConfigError, Problem
from server.config.named_files import named_files_problems
from server.config.parse import parse, shown_path
from server.config.shadows import shadows
from server.config.yaml_tree import Node, read_yaml, refuse

# 1,000 models, 1,000 classes and 10,000 keywords take less than 1 MiB.
FILE_BYTES_MAX = 4 * 2**20


def load(path: Path, *, with_named_files: bool = False) -> Config:
    """The configuration in the file; raises ConfigError with every problem in it.

    The files that it names are the service's own: only who serves can be asked to read them.
    """
    root, problems = read_yaml(_text(path))
    try:
        config = parse(root.data, root.line_of)
        if with_named_files:
            problems += _named_files(config, root)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(tuple(sorted(problems, key=lambda problem: problem.line or 0)))
    return config


def warnings(path: Path, config: Config) -> tuple[Problem, ...]:
    """What is worth a thought in the configuration that was loaded from the file."""
    found = tuple(shadows(config))
    line_of = read_yaml(_text(path))[0].line_of if found else None
    return tuple(
        Problem(shown_path(at), line_of and line_of(at), message, "warning")
        for at, message in found
    )


def _named_files(config: Config, root: Node) -> list[Problem]:
    return [
        Problem(shown_path(path), root.line_of(path), message)
        for path, message in named_files_problems(config)
    ]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        refuse(None, f"the file cannot be read: {error.strerror}")
    if len(data) > FILE_BYTES_MAX:
        refuse(None, f"the file must be at most {FILE_BYTES_MAX // 2**20} MiB long")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(data.count(b"\n", 0, error.start) + 1, "the file must be text in UTF-8")
