"""What is wrong with a configuration, and where."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

# A suggestion compares with this many names, 25 us each, and lists the first of them.
NEAR_MAX = 50
LISTED_MAX = 20

Path = tuple[str | int, ...]  # ("models", 2, "price", "request_usd")
Findings = Iterator[tuple[Path, str]]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake, for the person who made it."""

    path: str  # "models[2].price.request_usd"; empty for the file as a whole
    line: int | None  # None: it was not read from a file
    message: str  # what is wrong and what would be right
    severity: Literal["error", "warning"] = "error"  # a warning stops nothing

    def __str__(self) -> str:
        where = [self.path] if self.path else []
        if self.line is not None:
            where.append(f"(line {self.line})")
        return f"{' '.join(where)}: {self.message}" if where else self.message


class ConfigError(Exception):
    """A configuration cannot be used; says every reason at once."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """Names the nearest, where one is near; otherwise lists what there is."""
    there = sorted(right)[:NEAR_MAX]
    near = difflib.get_close_matches(wrong, there, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are {', '.join(there[:LISTED_MAX])}" if there else "none is known"
