"""The estimate of how many tokens a text has: 1 KB of English."""

import time
from functools import partial

from benchmarks.harness import Benchmark, Claim, Row, compare, compared_s
from server.routing.reading.token_estimate import estimate_tokens

# The floor is the length in octets, which the coarsest estimate would divide by four.
CLAIM = Claim("tokens", "estimate_tokens", "len(text.encode())", subject_us_max=10)

_ROUNDS, _CALLS, _BOTH_US = 30, 20_000, 4.3
_TEXT_CHARS = 1_024
_PROSE = (
    "The council met on Tuesday to decide whether the old bridge should be repaired or replaced. "
    "Engineers had warned for 12 years that its bearings were worn, yet nobody wanted to close the "
    "only road into town during the harvest; in the end they agreed on a compromise.\n"
)


def run(toy: bool) -> list[Row]:
    rounds, calls = (3, 200) if toy else (_ROUNDS, _CALLS)
    text = page()
    subject, floor = partial(estimate_tokens, text), partial(_octets, text)
    return [compare(CLAIM, subject, floor, rounds=rounds, calls=calls, clock=time.perf_counter)]


def page() -> str:
    """1 KB, all of it ASCII."""
    return (_PROSE * (_TEXT_CHARS // len(_PROSE) + 1))[:_TEXT_CHARS]


def _octets(text: str) -> int:
    return len(text.encode())


BENCHMARK = Benchmark("tokens", (CLAIM,), run, compared_s(_ROUNDS, _CALLS, _BOTH_US))
