"""Budgets over recorded arrivals: an hour of a chat service and one of code completion, at Azure.

Each trace is one period: its arrivals are spread over an hour, and a budget of an hour pays. What
it needs is what it costs where money is no object.
"""

import csv
import gzip
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.money import NANO_PER_USD
from server.replay.answers import Answers
from server.replay.grading import Grading
from server.replay.recording import Floats, Recording, Requests
from server.replay.run import Replay
from server.replay.story import NOBODY, Story
from server.replay.traffic import Traffic

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        "TURNOUT_DATA" not in os.environ, reason="set TURNOUT_DATA to the folder of recorded data"
    ),
]

HOUR_S = 3_600.0
MODELS = ("small", "large")
USD_PER_MTOK = {"small": (0.1, 0.4), "large": (1.0, 4.0)}
ACCURACY = {"small": 0.7, "large": 0.9}
TRACES = ("conv", "code")
FLOORS = {"floor": 0.8, "floor_when_short": 0.7}


class Trace(NamedTuple):
    """N arrivals within an hour."""

    at_s: Floats
    recording: Recording


def trace(name: str) -> Trace:
    path = Path(os.environ["TURNOUT_DATA"]) / f"traces/azure_llm_2023_{name}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [tuple(map(float, row.values())) for row in csv.DictReader(file)]
    arrival_s, read, written = np.array(rows).T
    count = arrival_s.size
    tables = {
        "input_tokens": np.column_stack([read, read]),
        "output_tokens": np.column_stack([written, written]),
        "score": np.zeros((count, 2)),
        "cost_usd": np.full((count, 2), np.nan),
        "latency_s": np.zeros((count, 2)),
    }
    requests = Requests(
        ids=tuple(map(str, range(count))),
        texts=("",) * count,
        domains=("",) * count,
        traffic_classes=("",) * count,
        tenants=("",) * count,
        input_tokens=tuple(map(int, read)),
    )
    at_s = arrival_s * (HOUR_S - 1) / arrival_s[-1]
    return Trace(at_s, Recording(requests=requests, models=MODELS, **tables))


def config(amount_usd: float, **of_class: object) -> Config:
    return Config(
        window_s=15.0,
        models=tuple(
            ModelConfig(
                name=name,
                protocol="openai",
                endpoints=(),
                price=PriceConfig(input_usd_per_mtok=read, output_usd_per_mtok=written),
                prior_accuracy=ACCURACY[name],
            )
            for name, (read, written) in USD_PER_MTOK.items()
        ),
        classes=(ClassConfig.model_validate({"name": "all", "default": True, **of_class}),),
        budgets=(BudgetConfig(name="team", amount_usd=amount_usd, period="hour"),),
    )


def replayed(arrivals: Trace, of: Config) -> Story:
    recording = arrivals.recording
    replay = Replay(of, recording.requests, Answers(recording, of.models), Grading(), seed=0)
    return replay.tell(Traffic(arrivals.at_s, np.arange(arrivals.at_s.size)))


def cost_usd(story: Story) -> float:
    return sum(one.cost_nano_usd for one in story.served) / NANO_PER_USD


@cache
def need_usd(name: str) -> float:
    """What the floor costs where money is no object."""
    return cost_usd(replayed(trace(name), config(1e6, **FLOORS)))


def per_need(arrivals: Trace, story: Story, begin_s: float) -> float:
    """Dollars from then on, by what the same requests would cost with the large model."""
    tokens = arrivals.recording
    read, written = USD_PER_MTOK["large"]
    need = (tokens.input_tokens[:, 0] * read + tokens.output_tokens[:, 0] * written) / 1e6
    served = [one for one in story.served if one.at_s >= begin_s]
    cost = sum(one.cost_nano_usd for one in served) / NANO_PER_USD
    return cost / float(sum(need[one.query] for one in served))


@pytest.mark.parametrize("name", TRACES)
def test_with_a_little_more_than_the_need_nothing_is_given_up_and_nobody_refused(name: str) -> None:
    story = replayed(trace(name), config(1.3 * need_usd(name), **FLOORS))
    assert all(one.place != NOBODY for one in story.served)
    assert not any("short" in breach for one in story.planned for breach in one.breaches)
    assert cost_usd(story) == pytest.approx(need_usd(name), rel=0.01)


@pytest.mark.parametrize("name", TRACES)
def test_the_last_tenth_of_what_buys_accuracy_neither_starves_nor_dumps(name: str) -> None:
    arrivals, amount_usd = trace(name), 1.3 * need_usd(name)
    story = replayed(arrivals, config(amount_usd, floor=0.8, aim="best_within_budget"))
    assert all(one.place != NOBODY for one in story.served)
    # More than there is only because the floor has to hold when the money is over.
    assert 0.9 * amount_usd < cost_usd(story) < 1.03 * amount_usd
    last = per_need(arrivals, story, 0.9 * HOUR_S) / per_need(arrivals, story, 0.0)
    assert 0.8 < last < 1.25
