"""Reads recorded outcomes from a folder: queries.csv and outcomes.csv, each maybe with .gz.

docs/replay.md says what columns they have.
"""

import csv
import gzip
import itertools
from collections.abc import Iterator, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from server.replay.recording import Floats, Recording, Requests
from server.routing.learned_classifier.names import domain_name

QUERIES, OUTCOMES = "queries.csv", "outcomes.csv"
# By what names a column is known; of several the first that is there.
_TEXT, _DOMAIN = ("text", "prompt"), ("domain", "subject")
_TABLES = ("score", "input_tokens", "output_tokens", "cost_usd", "latency_s")


class LogInvalid(Exception):
    """Says in which file and line what is wrong, and what would be right."""


def read_log(folder: Path) -> Recording:
    """The recording in a folder; raises LogInvalid."""
    queries = _open(folder, QUERIES)
    requests = _requests(queries)
    return _with_outcomes(requests, _open(folder, OUTCOMES))


class _Table(NamedTuple):
    path: Path
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def fail(self, row: int | None, message: str) -> NoReturn:
        """Lines are counted as records are: the head is the first."""
        place = "" if row is None else f", record {row + 2}"
        raise LogInvalid(f"{self.path}{place}: {message}")

    def column(self, *names: str) -> list[str] | None:
        """The values of the first of these that there is; None where there is none."""
        for name in names:
            if name in self.columns:
                at = self.columns.index(name)
                return [row[at] for row in self.rows]
        return None

    def needed(self, *names: str) -> list[str]:
        found = self.column(*names)
        if found is None:
            self.fail(None, f"there is no column {' or '.join(names)}")
        return found

    def numbers(self, name: str) -> Floats | None:
        """The numbers of a column, NaN where nothing is said; None where there is no column."""
        values = self.column(name)
        if values is None:
            return None
        try:
            found = np.array([value or "nan" for value in values], dtype=np.float64)
        except ValueError:
            found = np.array([_number(value) for value in values])
        wrong = np.flatnonzero((found < 0) | np.isinf(found))
        if wrong.size:
            at = int(wrong[0])
            self.fail(at, f"{name} is {values[at][:40]!r}: give a number from 0, or nothing")
        return found


def _open(folder: Path, name: str) -> _Table:
    """Reads the file, or else the one that is compressed."""
    found = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if found is None:
        raise LogInvalid(f"{folder}: there is no {name} or {name}.gz: see docs/replay.md")
    try:
        head, *rows = _records(found)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise LogInvalid(f"{found}: it cannot be read as CSV in UTF-8: {error}") from None
    table = _Table(found, head, rows)
    for at, row in enumerate(rows):
        if len(row) != len(head):
            table.fail(at, f"it has {len(row)} fields, and the head has {len(head)}")
    return table


def _records(path: Path) -> Iterator[list[str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


def _requests(table: _Table) -> Requests:
    ids = table.needed("query_id")
    if len(set(ids)) < len(ids):
        table.fail(None, "a query_id comes twice: each query has its own")
    blank = [""] * len(ids)
    return Requests(
        ids=tuple(ids),
        texts=tuple(table.column(*_TEXT) or blank),
        domains=tuple(domain_name(domain) for domain in table.column(*_DOMAIN) or blank),
        traffic_classes=tuple(table.column("traffic_class") or blank),
        tenants=tuple(table.column("tenant") or blank),
        input_tokens=tuple(_tokens(table)),
        arrival_s=_arrivals(table),
    )


def _tokens(table: _Table) -> Iterator[int | None]:
    tokens = table.numbers("input_tokens")
    if tokens is None:
        return itertools.repeat(None, len(table.rows))
    return (int(one) if isfinite(one) else None for one in tokens.tolist())


def _arrivals(table: _Table) -> Floats | None:
    arrival_s = table.numbers("arrival_s")
    if arrival_s is None:
        return None
    wrong = np.flatnonzero(np.isnan(arrival_s) | (np.diff(arrival_s, prepend=0.0) < 0))
    if wrong.size:
        table.fail(int(wrong[0]), "arrival_s has to be there, and no less than the one before")
    return arrival_s


def read_arrivals(path: Path) -> Floats:
    """When requests came, of a table with a column arrival_s; raises LogInvalid."""
    found = path.with_suffix("") if path.suffix == ".gz" else path
    arrival_s = _arrivals(_open(found.parent, found.name))
    if arrival_s is None or not arrival_s.size:
        raise LogInvalid(f"{path}: there are no arrivals: a column arrival_s says when they came")
    return arrival_s


def _with_outcomes(requests: Requests, table: _Table) -> Recording:
    names = table.needed("model")
    recorded = sorted(set(names))
    models = tuple(domain_name(name) for name in recorded)
    if len(set(models)) < len(models):
        table.fail(None, "two models would have one name in a configuration: rename one")
    row_of = {query: row for row, query in enumerate(requests.ids)}
    column_of = {name: column for column, name in enumerate(recorded)}
    of_query = table.needed("query_id")
    unknown = next((i for i, query in enumerate(of_query) if query not in row_of), None)
    if unknown is not None:
        table.fail(unknown, f"query_id {of_query[unknown][:40]!r} is not in {QUERIES}")
    at = [row_of[query] for query in of_query], [column_of[name] for name in names]
    shape = len(requests.ids), len(models)
    tables = {name: _filled(table, name, at, shape) for name in _TABLES}
    _check_score(table, tables["score"])
    return Recording(requests=requests, models=models, **tables)


def _filled(
    table: _Table, name: str, at: tuple[list[int], list[int]], shape: tuple[int, int]
) -> Floats:
    """NaN where nothing is said. The score is 0 where it is blank: no answer was found."""
    if name == "score":
        table.needed(name)
    numbers, filled = table.numbers(name), np.full(shape, nan)
    if numbers is not None:
        filled[at] = np.nan_to_num(numbers) if name == "score" else numbers
    return filled


def _number(value: str) -> float:
    """What is no number is none that may be given."""
    try:
        return float(value or "nan")
    except ValueError:
        return -1.0


def _check_score(table: _Table, score: Floats) -> None:
    if np.nanmax(score, initial=0.0) > 1.0:
        table.fail(None, "a score is above 1: give 0 (wrong) to 1 (right)")
