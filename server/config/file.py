"""Reads the configuration file."""

from pathlib import Path

from server.config import Config, ConfigError
from server.config.parse import parse
from server.config.yaml_tree import read_yaml, refuse

# 1,000 models, 1,000 classes and 10,000 keywords take less than 1 MiB.
FILE_BYTES_MAX = 4 * 2**20


def load(path: Path) -> Config:
    """The configuration in the file; raises ConfigError with every problem in it."""
    root, problems = read_yaml(_text(path))
    try:
        config = parse(root.data, root.line_of)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(tuple(sorted(problems, key=lambda problem: problem.line or 0)))
    return config


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
