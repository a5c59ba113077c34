"""What a plan loses by predicted domains: its cost at the same accuracy, against true subjects.

`python -m benchmarks.predicted_domains --data DIR`, DIR being a folder of queries and outcomes.
The questions are parted in halves by their text. One half teaches the classifier and grades the
models; the other half is answered by the plan. Each half's domains are predicted by a classifier
that did not see the text, for the first half one of its folds. Several floors make a curve of
realised cost over realised accuracy, and the curves are compared at the same accuracy.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.harness import median_interval
from benchmarks.recorded import Floats, Recorded, read_recorded
from optimizer.deadline import Deadline
from optimizer.estimate.accuracy import AccuracyEstimate
from optimizer.lp import solve
from optimizer.problem import Group, Problem
from optimizer.solution import Failure
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.names import domain_name
from server.training.examples import Example
from server.training.train import train

FLOORS = tuple(np.arange(0.5, 0.725, 0.005).tolist())
ACCURACIES = (0.60, 0.65, 0.68)
SPLITS = 20  # each is used both ways; of 8 the spread crossed the target
RATIO_MAX = 1.03
_REFUSED = 0.05

Rows = NDArray[np.int64]


class Curve(NamedTuple):
    """What plans of rising floors were seen to do."""

    accuracy: Floats
    cost_nano_usd: Floats  # a question

    def cost_at(self, accuracy: float) -> float:
        """Between the two plans next to it; NaN where no plan reaches so far."""
        order = np.argsort(self.accuracy)
        reached, cost = self.accuracy[order], self.cost_nano_usd[order]
        return float(np.interp(accuracy, reached, cost, left=np.nan, right=np.nan))


@dataclass(frozen=True, slots=True)
class Comparison:
    """At one accuracy, over all splits: cost by predicted domains, and blind, over by subjects."""

    accuracy: float
    ratio: float  # median
    ratio_low: float
    ratio_high: float
    blind_ratio: float  # median: one cell for all
    right: float  # of the predicted domains, on the half that was answered

    @property
    def verdict(self) -> str:
        """A spread that crosses the target is undecided: more splits."""
        if self.ratio_high <= RATIO_MAX:
            return "met"
        return "missed" if self.ratio_low > RATIO_MAX else "undecided"


def compare(recorded: Recorded, *, splits: int, accuracies: Sequence[float]) -> list[Comparison]:
    """Raises ValueError where no plan reaches an accuracy."""
    found = []
    for split in range(splits):
        for first in (True, False):
            print(f"\rsplit {split + 1} of {splits} ", end="", file=sys.stderr, flush=True)
            found.append(_curves(recorded, split, learn_first=first))
    print(file=sys.stderr)
    return [_comparison(found, accuracy) for accuracy in accuracies]


class _Curves(NamedTuple):
    true: Curve
    predicted: Curve
    blind: Curve
    right: float


def _curves(recorded: Recorded, split: int, *, learn_first: bool) -> _Curves:
    halves = np.array([_half(prompt, split) for prompt in recorded.prompts])
    learned, answered = np.flatnonzero(halves == learn_first), np.flatnonzero(halves != learn_first)
    true = np.array([domain_name(subject) for subject in recorded.subjects])
    predicted = _predicted(recorded, true, learned, answered)
    blind = np.full(len(true), "all")
    by_subject, by_guess, by_nothing = (
        _curve(recorded, cells, learned, answered) for cells in (true, predicted, blind)
    )
    right = float((true == predicted)[answered].mean())
    return _Curves(by_subject, by_guess, by_nothing, right)


def _half(prompt: str, split: int) -> bool:
    """By the text: equal prompts are in one half."""
    return bool(hashlib.sha256(f"{split}\0{prompt}".encode()).digest()[0] & 1)


def _predicted(
    recorded: Recorded, true: NDArray[np.str_], learned: Rows, answered: Rows
) -> NDArray[np.str_]:
    """(Q,) The domain of each question, by a classifier that did not learn from it."""
    examples = [
        Example(recorded.prompts[row], "", "" if true[row] == "other" else str(true[row]))
        for row in learned
    ]
    trained = train(examples, seed=0, refused=_REFUSED)
    threshold = trained.contents.header.threshold
    of_text = {
        answer.example.text: "other"
        if answer.guess.domain_probability < threshold
        else answer.guess.domain
        for answer in trained.held_out
    }
    model = LearnedClassifier(trained.contents)
    of_text |= {
        recorded.prompts[row]: model.classify(recorded.prompts[row]).domain for row in answered
    }
    return np.array([of_text[prompt] for prompt in recorded.prompts])


def _curve(recorded: Recorded, cells: NDArray[np.str_], learned: Rows, answered: Rows) -> Curve:
    names, cell_of = np.unique(cells, return_inverse=True)
    problem = _problem(recorded, tuple(names.tolist()), cell_of, learned)
    seen = [_seen(recorded, shares, cell_of, answered) for shares in _plans(problem)]
    accuracy, cost = np.array(seen).T
    return Curve(accuracy, cost)


def _problem(recorded: Recorded, names: tuple[str, ...], cell_of: Rows, learned: Rows) -> Problem:
    """The window that the control plane would make of the grades of one half."""
    estimate = AccuracyEstimate({})
    cells = [("all", "-", name, "s0") for name in names]
    for row in learned:
        for column, model in enumerate(recorded.models):
            estimate.record_grade(
                cells[cell_of[row]], model, float(recorded.score[row, column]), 1.0, 0.0
            )
    demand = np.bincount(cell_of[learned], minlength=len(names)).astype(float)
    cost = np.zeros((len(names), len(recorded.models)))
    np.add.at(cost, cell_of[learned], recorded.cost_nano_usd[learned])
    return Problem(
        models=recorded.models,
        groups=(Group("all", "-"),),
        group_of=np.zeros(len(names), np.int64),
        demand=demand,
        cost_nano_usd=cost / np.maximum(demand, 1)[:, np.newaxis],
        accuracy=estimate.mean(cells, recorded.models, 0.0),
        miss=np.zeros(cost.shape),
        allowed=np.ones(cost.shape, bool),
    )


def _plans(problem: Problem) -> Iterator[Floats]:
    """The shares for each floor."""
    for floor in FLOORS:
        deadline = Deadline(10.0, time.monotonic)
        found = solve(replace(problem, groups=(Group("all", "-", floor=floor),)), deadline)
        if isinstance(found, Failure):
            raise RuntimeError(found.message)
        yield found.shares


def _seen(recorded: Recorded, shares: Floats, cell_of: Rows, answered: Rows) -> tuple[float, float]:
    """Accuracy and cost of the questions answered, by the mix of their cells."""
    mix = shares[cell_of[answered]]
    accuracy, cost = (
        float((mix * values[answered]).sum(axis=1).mean())
        for values in (recorded.score, recorded.cost_nano_usd)
    )
    return accuracy, cost


def _comparison(found: Sequence[_Curves], accuracy: float) -> Comparison:
    costs = np.array(
        [
            [curve.cost_at(accuracy) for curve in (one.true, one.predicted, one.blind)]
            for one in found
        ]
    )
    if np.isnan(costs).any():
        raise ValueError(f"no plan reaches an accuracy of {accuracy} on every split")
    ratios = (costs[:, 1] / costs[:, 0]).tolist()
    low, high = median_interval(ratios)
    blind = float(np.median(costs[:, 2] / costs[:, 0]))
    right = float(np.mean([one.right for one in found]))
    return Comparison(accuracy, float(np.median(ratios)), low, high, blind, right)


def main(
    data: Annotated[Path, typer.Option(metavar="DIR", help="queries.csv.gz and outcomes.csv.gz.")],
    splits: Annotated[int, typer.Option(min=1, help="Each is used both ways.")] = SPLITS,
    as_json: Annotated[bool, typer.Option("--json", help="A list of comparisons.")] = False,
) -> None:
    """What a plan loses by predicted domains, against true subjects."""
    found = compare(read_recorded(data), splits=splits, accuracies=ACCURACIES)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        print(
            f"accuracy {one.accuracy:.2f}: predicted domains cost {one.ratio:.3f} x true subjects "
            f"[{one.ratio_low:.3f} to {one.ratio_high:.3f}], at most {RATIO_MAX}: {one.verdict}; "
            f"without domains {one.blind_ratio:.3f} x; {one.right:.1%} of domains right"
        )


if __name__ == "__main__":
    typer.run(main)
