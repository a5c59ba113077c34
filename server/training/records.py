"""Rows of a CSV or JSONL file, gzip'd or not, each with its number."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

Record = Mapping[str, str]

# A field longer than this is a file that was misread; a prompt is cut long before.
_FIELD_CHARS_MAX = 10_000_000


class DataInvalid(Exception):
    """The data cannot be learned from; says where, and what would be right."""


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Every row with its number, as an editor counts lines; raises DataInvalid."""
    name = path.name.removesuffix(".gz")
    read = {"csv": _csv, "jsonl": _jsonl}.get(name.rpartition(".")[2])
    if read is None:
        raise DataInvalid(f"{path}: give a .csv or .jsonl file, gzip'd (.gz) or not")
    with _opened(path) as file:
        yield from read(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataInvalid(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except UnicodeDecodeError as error:
        raise DataInvalid(f"{path}: it is not UTF-8: {error.reason}") from None


def _csv(path: Path, file: IO[str]) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(_FIELD_CHARS_MAX)
    reader = csv.DictReader(file, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataInvalid(
                    f"{path}, row {reader.line_num}: it has not as many fields as the head"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise DataInvalid(f"{path}, row {reader.line_num}: {error}") from None


def _jsonl(path: Path, file: IO[str]) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, _object(path, number, line)


def _object(path: Path, number: int, line: str) -> Record:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise DataInvalid(f"{path}, row {number}: it is not JSON") from None
    if not isinstance(row, dict):
        raise DataInvalid(f"{path}, row {number}: give an object")
    return {key: value for key, value in row.items() if isinstance(value, str)}
