"""Labelled text: what training learns from."""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from server.config.section import OTHER
from server.routing.learned_classifier.names import INTENT, OUTSIDE, domain_name
from server.training.records import DataInvalid, Record, read_records

# What training holds in memory; a sample of more says as much.
EXAMPLES_MAX = 1_000_000

# Looked for in this order where no column is named.
_TEXT_COLUMNS = ("text", "prompt")
_INTENT_COLUMNS = ("label", "intent")
_DOMAIN_COLUMNS = ("domain", "subject")


class Example(NamedTuple):
    """A text and what it is about; without intent and domain it is about nothing known."""

    text: str
    intent: str
    domain: str

    @property
    def outside(self) -> bool:
        return not self.intent and not self.domain


class Columns(NamedTuple):
    """Their names; None: the first usual one that is there, if any."""

    text: str | None = None
    intent: str | None = None
    domain: str | None = None


def read_examples(
    path: Path, columns: Columns, domain_of: Mapping[str, str] | None = None
) -> list[Example]:
    """Those of a file; `domain_of` says the domain of each intent. Raises DataInvalid."""
    rows = list(islice(read_records(path), EXAMPLES_MAX + 1))
    if not rows:
        raise DataInvalid(f"{path}: there are no examples in it")
    if len(rows) > EXAMPLES_MAX:
        raise DataInvalid(f"{path}: more than {EXAMPLES_MAX:,} examples: give a sample of them")
    found = _found(path, columns, rows[0][1])
    return [_example(f"{path}, row {number}", row, found, domain_of) for number, row in rows]


def read_domains(path: Path) -> dict[str, str]:
    """The domain of each intent, from a file with the columns label and domain."""
    domains: dict[str, str] = {}
    for number, row in read_records(path):
        intent, domain = row.get("label", ""), row.get("domain", "")
        if not intent or not domain:
            raise DataInvalid(f"{path}, row {number}: give a label and its domain")
        if domains.setdefault(intent, domain) != domain:
            raise DataInvalid(f"{path}, row {number}: label {intent!r} has another domain above")
    return domains


def _found(path: Path, columns: Columns, row: Record) -> Columns:
    text = _column(path, row, columns.text, _TEXT_COLUMNS)
    domain = _column(path, row, columns.domain, _DOMAIN_COLUMNS)
    intent = _column(path, row, columns.intent, [c for c in _INTENT_COLUMNS if c != domain])
    if text is None or intent is domain is None:
        raise DataInvalid(
            f"{path}: it has the columns {', '.join(row)}: name the one of the text, and the one "
            "of the label or of the domain"
        )
    return Columns(text, intent, domain)


def _column(path: Path, row: Record, named: str | None, usual: Iterable[str]) -> str | None:
    if named is None:
        return next((column for column in usual if column in row), None)
    if named not in row:
        raise DataInvalid(f"{path}: it has no column {named!r}, but {', '.join(row)}")
    return named


def _example(
    where: str, row: Record, columns: Columns, domain_of: Mapping[str, str] | None
) -> Example:
    text, intent, domain = (row.get(column, "") if column else "" for column in columns)
    if not text.strip():
        raise DataInvalid(f"{where}: the text is empty")
    if intent in OUTSIDE or domain in OUTSIDE:
        return Example(text, "", "")
    if columns.intent and not re.fullmatch(INTENT, intent):
        raise DataInvalid(f"{where}: give a label of 1 to 128 printable characters, or oos")
    if domain_of is not None:
        if intent not in domain_of:
            raise DataInvalid(f"{where}: label {intent!r} is not in the file of domains")
        domain = domain_of[intent]
    named = domain_name(domain)
    if (columns.domain or domain_of is not None) and (not named or named == OTHER):
        raise DataInvalid(f"{where}: {domain!r} is no name of a domain: give letters or digits")
    return Example(text, intent, named)
