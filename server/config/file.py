"""Reads the configuration file."""

from collections.abc import Callable
from pathlib import Path

from server.config.diagnostics import ConfigError, Diagnostic, Findings
from server.config.parse import parse, shown_path
from server.config.schema import Config
from server.config.shadows import shadows
from server.config.yaml_tree import Node, read_yaml, refuse

# 1,000 models, 1,000 classes and 10,000 keywords take less than 1 MiB.
FILE_BYTES_MAX = 4 * 2**20

Check = Callable[[Config], Findings]


def load(path: Path, *, further_check: Check | None = None) -> Config:
    """The configuration in the file; raises ConfigError with every problem in it.

    The further check is asked once the file by itself is sound.
    """
    return read(file_bytes(path), further_check=further_check)


def read(data: bytes, *, further_check: Check | None = None) -> Config:
    """As load, of what a file has."""
    root, diagnostics = read_yaml(_text(data))
    try:
        config = parse(root.data, root.line_of)
        if further_check is not None:
            diagnostics += _with_lines(further_check(config), root)
    except ConfigError as error:
        diagnostics += error.diagnostics
    if diagnostics:
        raise ConfigError(tuple(sorted(diagnostics, key=lambda one: one.line or 0)))
    return config


def warnings(path: Path, config: Config) -> tuple[Diagnostic, ...]:
    """What is worth a thought in the configuration that was loaded from the file."""
    found = tuple(shadows(config))
    line_of = read_yaml(_text(file_bytes(path)))[0].line_of if found else None
    return tuple(
        Diagnostic(shown_path(at), line_of and line_of(at), message, "warning")
        for at, message in found
    )


def file_bytes(path: Path) -> bytes:
    """No more of it than a configuration may have; raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        refuse(None, f"the file cannot be read: {error.strerror}")


def _with_lines(findings: Findings, root: Node) -> list[Diagnostic]:
    return [Diagnostic(shown_path(path), root.line_of(path), message) for path, message in findings]


def _text(data: bytes) -> str:
    if len(data) > FILE_BYTES_MAX:
        refuse(None, f"the file must be at most {FILE_BYTES_MAX // 2**20} MiB long")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(data.count(b"\n", 0, error.start) + 1, "the file must be text in UTF-8")
