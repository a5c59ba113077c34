"""The whole of `make chat` at toy length."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.chat.acts import ACTS
from benchmarks.chat.language_model import LanguageModelMissing
from benchmarks.chat.questions import Questions, questions
from benchmarks.chat.show import show
from server.config.classes import SloConfig
from tests.language_models import skip_without

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]

_TOY_S = 8.0
# Of a machine that has other things to do.
_PATIENT = SloConfig(ms=50_000, fraction=0.5)


async def test_it_performs_all_acts_and_keeps_every_promise() -> None:
    console = Console(file=io.StringIO(), width=100)
    acts = [replace(act, watched_s=_TOY_S) for act in ACTS]
    all_of_them = questions()
    few = Questions(all_of_them.measured[::3], all_of_them.asked[::4])
    try:
        status = await show(console, acts, 3, asked=few, slo=_PATIENT)
    except LanguageModelMissing as error:
        skip_without(error)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert (status, text.splitlines()[-1]) == (
        0,
        "No promise was broken beyond what chance allows.",
    ), text
    assert all(act.title in text for act in ACTS)
    assert "First answer, by " in text
