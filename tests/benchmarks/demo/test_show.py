"""The whole demo at toy length."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.demo.acts import ACTS
from benchmarks.demo.show import show

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(240)]

_TOY_S = 2.0


async def test_the_demo_performs_all_acts_and_keeps_every_promise() -> None:
    console = Console(file=io.StringIO(), width=100)
    acts = [replace(act, watched_s=_TOY_S) for act in ACTS]
    status = await show(console, acts, seed=3)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert (status, text.splitlines()[-1]) == (
        0,
        "No promise was broken beyond what chance allows.",
    ), text
    assert all(act.title in text for act in ACTS)
