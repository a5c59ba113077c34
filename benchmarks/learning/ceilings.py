"""A ceiling on the mean cost of a request: `paretobandit_k3` by its authors' protocol.

A seed shuffles `val`, which is not scored, then `test`, which is. Learning goes on throughout, and
of each prompt one model's score and true cost are seen. A ceiling is a budget of two periods here:
an hour of `val`, then one of `test`, each with a hundredth less than what its ceiling comes to over
as many requests as `test` has. Requests come at random within the hour. Domains are read in the
text, by a classifier that `turnout train` makes of `val`. Of models only their list prices are
known beforehand, as the authors' package has them; a bill is told as tokens at that price.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig, DomainConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.money import NANO_PER_USD
from server.replay.answers import Answers
from server.replay.grading import Grading
from server.replay.recording import Floats, Ints, Recording
from server.replay.run import Replay
from server.replay.story import NOBODY
from server.replay.traffic import Traffic
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.training.examples import Example
from server.training.train import train

SEEDS = 20
SEEDS_WITHIN = 18  # of them are to cost at most their ceiling
PERIOD_S = 3_600.0
# A plan for some 50 requests, as its prototype made them.
WINDOW_S = 100.0
# Dollars for a million tokens written.
LIST_PRICES: Mapping[str, float] = {
    "meta-llama-llama-3.1-8b-instruct": 0.1,
    "mistralai-mistral-large-2512": 1.5,
    "google-gemini-2.5-pro": 10.0,
}
# What the prototype takes for a model of which nothing is known.
_PRIOR = 0.85
# A soft budget is met to about half a hundredth, on either side; a ceiling is to be kept.
_SPENT = 0.99
_REFUSED = 0.05  # of the text of `val`, as `turnout train` has it


class Published(NamedTuple):
    """What the authors' pacer came to at one ceiling, on `test`."""

    ceiling_usd: float
    score: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class CeilingRun:
    """What one seed came to on `test`."""

    ceiling_usd: float
    seed: int
    score: float  # mean
    cost_usd: float  # mean
    answered: float


def read_published(path: Path) -> list[Published]:
    """By rising ceiling."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Published(*(float(row[key]) for key in _COLUMNS))
            for row in csv.DictReader(file)
            if row["method"] == "pacer"
        ]


_COLUMNS = "target_usd_per_request", "mean_score", "mean_cost_usd"


def reader_of(recording: Recording) -> LearnedClassifier:
    """What `turnout train` makes of `val`: its texts, and of each the source it came from."""
    requests = recording.requests
    examples = [
        Example(requests.texts[row], "", requests.domains[row])
        for row in _rows(recording, "val").tolist()
        if requests.texts[row].strip()
    ]
    return LearnedClassifier(train(examples, seed=0, refused=_REFUSED).contents)


def prices_of(recording: Recording) -> list[float]:
    """By the place of each model; a dollar where none is listed."""
    return [LIST_PRICES.get(name, 1.0) for name in recording.models]


def in_tokens(recording: Recording) -> Recording:
    """With as many tokens written as a bill comes to at the list price."""
    written = recording.cost_usd / np.array(prices_of(recording)) * 1e6
    return replace(recording, output_tokens=written)


def runs_at(
    recording: Recording,
    learned: LearnedClassifier,
    ceiling_usd: float,
    *,
    seeds: Sequence[int],
    on_window: Callable[[int], object] = int,
) -> Iterator[CeilingRun]:
    """One for each seed."""
    recording = in_tokens(recording)
    for seed in seeds:
        random = np.random.default_rng(seed)
        parts = [random.permutation(_rows(recording, part)) for part in ("val", "test")]
        traffic = Traffic(_arrivals(parts, random), np.concatenate(parts))
        config = config_under(recording, learned, _SPENT * ceiling_usd * parts[1].size)
        answers = Answers(recording, config.models)
        blank = replace(recording.requests, domains=("",) * len(recording.requests.ids))
        replay = Replay(config, blank, answers, Grading(), seed=seed, learned=learned)
        story = replay.tell(traffic, on_window=on_window)
        scored = [one for one in story.served if one.at_s >= PERIOD_S]
        answered = [one for one in scored if one.place != NOBODY]
        yield CeilingRun(
            ceiling_usd=ceiling_usd,
            seed=seed,
            # A refused request is scored as one that is wrong.
            score=sum(answers.quality(one.query, one.place) for one in answered) / len(scored),
            cost_usd=sum(one.cost_nano_usd for one in scored) / len(scored) / NANO_PER_USD,
            answered=len(answered) / len(scored),
        )


def config_under(recording: Recording, learned: LearnedClassifier, hourly_usd: float) -> Config:
    """One class that buys the most accuracy within a budget of the hour; every answer is graded."""
    return Config(
        models=tuple(
            ModelConfig(
                name=name,
                protocol="openai",
                endpoints=(),
                price=PriceConfig(output_usd_per_mtok=usd),
                prior_accuracy=_PRIOR,
            )
            for name, usd in zip(recording.models, prices_of(recording), strict=True)
        ),
        classes=(
            ClassConfig(
                name="all",
                default=True,
                aim="best_within_budget",
                grades="caller",
                audit_rate=1.0,
            ),
        ),
        domains=tuple(DomainConfig(name=name) for name in learned.domains),
        budgets=(BudgetConfig(name="all", amount_usd=round(hourly_usd, 9), period="hour"),),
        size_buckets_tokens=(),
        window_s=WINDOW_S,
    )


def ceiling_line(published: Published, runs: Sequence[CeilingRun]) -> str:
    """How one ceiling went, against what was published."""
    low, high = interval([run.score - published.score for run in runs])
    gain = mean(run.score for run in runs) - published.score
    within = sum(run.cost_usd <= published.ceiling_usd for run in runs)
    said = "undecided" if low <= 0.0 <= high else "above" if low > 0.0 else "below"
    return (
        f"ceiling ${published.ceiling_usd:.3g}: score {mean(run.score for run in runs):.5f}, "
        f"published {published.score:.5f}: {gain:+.5f} ({low:+.5f} to {high:+.5f}), {said}; "
        f"cost {mean(run.cost_usd for run in runs) / published.ceiling_usd:.3f} of the ceiling "
        f"(most {max(run.cost_usd for run in runs) / published.ceiling_usd:.3f}), within it "
        f"{within} of {len(runs)}; answered {min(run.answered for run in runs):.1%} or more"
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % of a mean over seeds, by Student's t; without bounds of only one."""
    if len(values) == 1:
        return float("-inf"), float("inf")
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return mean(values) - half, mean(values) + half


def _rows(recording: Recording, part: str) -> Ints:
    """Of `val` or of `test`, which the ids of queries begin with."""
    ids = recording.requests.ids
    return np.array([row for row, id_ in enumerate(ids) if id_.startswith(f"{part}-")])


def _arrivals(parts: Sequence[Ints], random: np.random.Generator) -> Floats:
    """Each part's within its own hour."""
    return np.concatenate(
        [
            PERIOD_S * number + np.sort(random.uniform(0.0, PERIOD_S, part.size))
            for number, part in enumerate(parts)
        ]
    )
