"""What is measured is what its row says."""

import random
import time

from benchmarks import classify, plan, plan_source, route_batch, tokens
from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.solution import Solution
from server.config.match import MatchConfig, alternatives
from server.control.parts import parts_of
from server.routing.catalog import compile_catalog
from server.routing.reading.classifier import Classifier
from server.routing.reading.token_estimate import estimate_tokens


def test_classify_tries_500_keywords_50_rules_and_14_learned_domains() -> None:
    words = classify._words(random.Random(7))
    config = classify._config(words)
    learned = classify._learned(words)
    assert (len(words), len(config.classes), len(learned.domains)) == (500, 50, 14)
    classifier = Classifier(config, compile_catalog(config), learned)
    for chars in (1_024, 60, 200_000):
        query = classify._query(words, random.Random(7), chars)
        assert len(query.text) == chars
        reading = classifier.read(query)
        # The default is what is left when no rule matches, the learned domain when none does.
        assert reading.rule == "default"
        assert reading.cell.domain in learned.domains


def test_every_kind_of_rule_is_among_those_of_classify() -> None:
    config = classify._config(classify._words(random.Random(7)))
    blocks = [block for entry in config.classes for block in alternatives(entry.match)]
    asked = {key for block in blocks for key, value in block if value not in (None, (), {})}
    # Tensors are of other requests; the scripts and languages of code are found with these.
    assert MatchConfig.model_fields.keys() - asked == {"tensors", "scripts", "code_languages"}


def test_the_window_of_plan_holds_everything_and_bounds_of_every_kind_bind() -> None:
    solution = solve(plan.window(cells=200, groups=20), Deadline(10.0, time.monotonic))
    assert isinstance(solution, Solution)
    assert solution.certificate.relaxed == "none"
    binding = {key.partition(":")[0] for key, price in solution.duals.items() if price > 0}
    assert binding == {"floor", "slo", "capacity", "pace"}


def test_the_plans_of_publish_have_as_many_cells_as_are_asked_for() -> None:
    parts = parts_of("plan-1", plan_source.shares(1_000))
    assert sum(len(part.cells) for part in parts) == 1_000


def test_tokens_reads_1_kb_of_prose() -> None:
    page = tokens.page()
    assert len(page.encode()) == 1_024
    # As prose has them, by cl100k_base: 4 to 5 characters each.
    assert 1_024 / 5 < estimate_tokens(page) < 1_024 / 4


def test_the_batches_of_route_batch_are_1000_requests_with_features() -> None:
    alike, varied, users = (
        [each.SerializeToString(deterministic=True) for each in route_batch.requests(claim)]
        for claim in route_batch.CLAIMS
    )
    assert {len(each) for each in (alike, varied, users)} == {1_000}
    assert len(set(alike)) == 1
    assert len(set(varied)) > 980
    assert len(set(users)) == 1_000
    assert all(
        request.HasField("features") for request in route_batch.requests(route_batch.CLAIMS[1])
    )
