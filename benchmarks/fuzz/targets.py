"""What is fuzzed: entries by which others' bytes come in."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Allowance, Meter
from benchmarks.fuzz.mutate import Mutation

# Takes an input; says how it ended. Raises for what must not happen.
Feed = Callable[[bytes, Meter], Coroutine[Any, Any, str]]


class Left(Exception):
    """Something is left behind after everybody has gone."""


@dataclass(frozen=True, slots=True)
class Target:
    """One entry."""

    name: str
    open: Callable[[TurnLoop], AbstractAsyncContextManager[Feed]]  # made anew at times
    seeds: Callable[[], Sequence[bytes]]
    mutations: Sequence[Mutation]
    allowance: Allowance
    input_bytes_max: int = 256 * 1_024


def named(*targets: Target) -> Mapping[str, Target]:
    return {target.name: target for target in targets}
