"""What is measured is what its row says."""

import random

from benchmarks import classify, plan, plan_source
from optimizer.lp import solve
from optimizer.solution import Solution
from server.control.parts import parts_of
from server.routing.catalog import compile_catalog
from server.routing.classifier import Classifier


def test_classify_tries_500_keywords_and_50_rules_on_1_kb() -> None:
    words = classify._words(random.Random(7))
    config = classify._config(words)
    query = classify._query(words, random.Random(7))
    assert (len(words), len(config.classes), len(query.text)) == (500, 50, 1_024)
    # The default is what is left when no rule matches.
    assert Classifier(config, compile_catalog(config)).read(query).rule == "default"


def test_the_window_of_plan_holds_everything_and_bounds_of_every_kind_bind() -> None:
    solution = solve(plan.window(cells=200, groups=20), time_limit_s=10)
    assert isinstance(solution, Solution)
    assert solution.certificate.relaxed == "none"
    binding = {key.partition(":")[0] for key, price in solution.duals.items() if price > 0}
    assert binding == {"floor", "slo", "capacity", "pace"}


def test_the_plans_of_publish_have_as_many_cells_as_are_asked_for() -> None:
    parts = parts_of("plan-1", plan_source.shares(1_000))
    assert sum(len(part.cells) for part in parts) == 1_000
