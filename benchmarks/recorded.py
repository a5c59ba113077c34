"""Recorded answers of many models to the same questions."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.money import NANO_PER_USD

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Q questions and what M models made of them."""

    prompts: tuple[str, ...]
    subjects: tuple[str, ...]
    models: tuple[str, ...]
    score: Floats  # (Q, M) 0 to 1
    cost_nano_usd: Floats  # (Q, M)


def read_recorded(folder: Path) -> Recorded:
    """Of a folder with queries.csv.gz and outcomes.csv.gz; a blank score is 0."""
    queries = list(_rows(folder / "queries.csv.gz"))
    row_of = {query["query_id"]: row for row, query in enumerate(queries)}
    outcomes = list(_rows(folder / "outcomes.csv.gz"))
    models = sorted({outcome["model"] for outcome in outcomes})
    column_of = {model: column for column, model in enumerate(models)}
    score, cost = np.zeros((2, len(queries), len(models)))
    for outcome in outcomes:
        at = row_of[outcome["query_id"]], column_of[outcome["model"]]
        score[at] = float(outcome["score"] or 0)
        cost[at] = float(outcome["cost_usd"]) * NANO_PER_USD
    prompts, subjects = (tuple(query[name] for query in queries) for name in ("prompt", "subject"))
    return Recorded(prompts, subjects, tuple(models), score, cost)


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
