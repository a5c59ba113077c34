"""A configuration on its way into a worker: a large one is read and compiled beside the loop.

Calls are answered by the one before meanwhile. A small one is done in a turn of the loop.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from server.config.as_json import from_json
from server.config.match import alternatives
from server.config.schema import Config
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.routes import Routes, compile_routes

# The most that is read in a turn of the loop: 2 ms.
BYTES_AT_ONCE = 32 * 2**10
# The most rules, and pairs of a class and a model or budget, that are compiled in a turn of the
# loop: some milliseconds.
RULES_AT_ONCE = 100
PAIRS_AT_ONCE = 5_000

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


async def read_config(data: bytes) -> Config:
    """Reads a configuration as `from_json` does."""
    if len(data) <= BYTES_AT_ONCE:
        return from_json(data)
    return await beside_loop(from_json, data)


async def compile_config(config: Config, learned: LearnedClassifier | None) -> Routes:
    """Compiles a configuration as `compile_routes` does."""
    if _is_small(config):
        return compile_routes(config, learned)
    return await beside_loop(compile_routes, config, learned)


async def beside_loop(
    work: Callable[_Given, _Result], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Result:
    """Does the work in a thread. What it makes is to stay, so the collector never looks at it.

    Each look would stop the loop too, for a tenth of a second.
    """
    gc.disable()
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    finally:
        gc.freeze()
        gc.enable()


def _is_small(config: Config) -> bool:
    matches = (*(c.match for c in config.classes), *(d.match for d in config.domains))
    rules = sum(len(alternatives(match)) for match in matches)
    each_class_looks_at = len(config.models) + len(config.budgets)
    return rules <= RULES_AT_ONCE and len(config.classes) * each_class_looks_at <= PAIRS_AT_ONCE
