"""How the checks of a configuration say what is wrong, and where."""

import difflib
from collections.abc import Iterable, Iterator

# A suggestion compares with this many names, 25 us each, and lists the first of them.
NEAR_MAX = 50
LISTED_MAX = 20

Path = tuple[str | int, ...]  # ("models", 2, "price", "request_usd")
Problems = Iterator[tuple[Path, str]]


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """Names the nearest, where one is near; otherwise lists what there is."""
    there = sorted(right)[:NEAR_MAX]
    near = difflib.get_close_matches(wrong, there, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are {', '.join(there[:LISTED_MAX])}" if there else "none is known"
