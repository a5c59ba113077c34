"""A replay drives the real parts, and tells the same story for the same seed."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.learning.floors import Setting, prepared
from benchmarks.learning.made import made
from server.config.classes import DomainConfig
from server.config.match import KeywordsConfig, MatchConfig
from server.config.models import CapacityConfig
from server.config.schema import Config
from server.money import to_nano_usd
from server.replay.figures import figures, tables_of
from server.replay.grading import Grading
from server.replay.run import BEGINS_S, Event, Replay
from server.replay.story import NOBODY, Story
from tests.server.replay.recorded import (
    ACCURACY,
    DOMAINS,
    MODELS,
    USD,
    config,
    recording,
    replay,
    traffic,
)

SMALL, MIDDLE, LARGE = range(3)


def part_of(story: Story, place: int) -> float:
    """Of the last half of the requests."""
    last = story.served[len(story.served) // 2 :]
    return sum(one.place == place for one in last) / len(last)


def with_model(of: Config, place: int, **changes: object) -> Config:
    models = list(of.models)
    models[place] = models[place].model_copy(update=changes)
    return of.model_copy(update={"models": tuple(models)})


def test_the_same_seed_tells_the_same_story() -> None:
    stories = [replay(config(), recording(), seed=3).tell(traffic()) for _ in range(2)]
    assert stories[0] == stories[1]
    assert replay(config(), recording(), seed=4).tell(traffic()) != stories[0]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_tells_the_same_story_in_every_process(hash_seed: str) -> None:
    """The order of a set of names differs between processes, and no plan may hang on it."""
    told = subprocess.run(
        [sys.executable, "-c", _TELLING],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.split() == [str(one.place) for one in _story_of_many_cells().served]


def _story_of_many_cells() -> Story:
    outcomes, prices = made(1_400)
    replayed, of_all = prepared(outcomes, prices, Setting("equal", 0.5, 0.5), 0, 600)
    return replayed.tell(of_all)


_TELLING = """
from tests.server.replay.test_run import _story_of_many_cells
print(*(one.place for one in _story_of_many_cells().served))
"""


def test_a_window_is_planned_every_five_seconds_and_decisions_follow_the_plan() -> None:
    story = replay(config(), recording()).tell(traffic(2_000))
    assert [one.at_s for one in story.planned] == pytest.approx(
        np.arange(1, len(story.planned) + 1) * 5.0
    )
    assert not story.windows_failed
    assert {one.basis for one in story.served[:20]} == {"greedy"}  # before the first plan
    later = [one.basis for one in story.served[200:]]
    assert set(later) <= {"plan", "probe"}  # of the audits some try other models
    assert later.count("plan") > 0.7 * len(later)


def test_a_floor_is_held_by_the_mix_that_hindsight_would_choose() -> None:
    run = replay(config(floor=0.78), recording())
    tables = tables_of(run)
    story = run.tell(traffic(6_000))
    found = figures(run, tables, story, story.served[3_000].at_s, float("inf"))[0]
    assert found.accuracy > 0.78 - 0.01
    assert found.cost_ratio is not None
    assert 1.0 - 1e-6 <= found.cost_ratio < 1.25
    assert found.cost_nano_usd < to_nano_usd(USD[LARGE]) / 2


def test_without_a_floor_the_cheapest_model_answers_everything_at_its_price() -> None:
    story = replay(config(floor=None), recording()).tell(traffic(500))
    assert {one.place for one in story.served} == {SMALL}
    assert {one.cost_nano_usd for one in story.served} == {to_nano_usd(USD[SMALL])}
    assert not story.grades


def test_as_many_answers_are_graded_as_are_audited() -> None:
    story = replay(config(audit_rate=0.25), recording()).tell(traffic(2_000))
    audited = sum(one.is_audited for one in story.served)
    assert audited / 2_000 == pytest.approx(0.25, abs=0.04)
    assert story.grades == audited


def test_the_control_plane_counts_what_was_billed_and_who_answered() -> None:
    run = replay(config(), recording())
    story = run.tell(traffic(2_000))
    run.plane.count(run.worker.push(BEGINS_S + 1_000.0), now_s=BEGINS_S + 1_000.0)
    counted = {model: counts for (_, model), counts in run.plane.knowledge.totals.items()}
    assert sum(one.cost_nano_usd for one in counted.values()) == sum(
        one.cost_nano_usd for one in story.served
    )
    for place, name in enumerate(MODELS):
        answered = sum(one.place == place for one in story.served)
        assert (counted[name].answered if name in counted else 0) == answered


def test_late_grades_come_after_their_time() -> None:
    run = replay(config(), recording(), grading=Grading(after_s=60.0))
    run.tell(traffic(1_000))  # 50 seconds
    assert not run.plane.knowledge.feedback


def test_a_model_that_is_gone_is_answered_for_by_another_and_left_out_of_the_plan() -> None:
    gone = Event(50.0, lambda run, _now_s: run.answers.leave(MIDDLE))
    story = replay(config(), recording()).tell(traffic(4_000), [gone])
    after = [one for one in story.served if one.at_s > 60.0]
    assert all(one.place != NOBODY for one in after)
    assert not any(one.place == MIDDLE for one in after)
    assert sum(one.place == MIDDLE for one in story.served if one.at_s < 50.0) > 100


def test_a_model_is_as_good_as_another_from_the_time_it_is_swapped() -> None:
    run = replay(config(), recording())
    swap = Event(50.0, lambda befallen, _now_s: befallen.answers.swap(LARGE, SMALL))
    story = run.tell(traffic(2_000), [swap])
    columns = {one.column for one in story.served if one.place == LARGE and one.at_s > 50.0}
    assert columns == {SMALL}


def test_capacity_holds_at_every_moment_and_what_does_not_fit_is_refused() -> None:
    of = config(floor=None)
    for place in range(3):
        of = with_model(of, place, capacity=CapacityConfig(concurrent=3))
    story = replay(of, recording(latency_s=1.0)).tell(traffic(1_000))
    begun = {place: [o.at_s for o in story.served if o.place == place] for place in range(3)}
    for times in begun.values():
        at_s = np.array(times)
        out = np.searchsorted(at_s, at_s, side="right") - np.searchsorted(at_s, at_s - 1.0 + 1e-9)
        assert out.max(initial=0) <= 3
    refused = [one for one in story.served if one.place == NOBODY]
    assert {one.basis for one in refused} == {"SHED"}
    assert 0.4 < len(refused) / 1_000 < 0.65  # 9 of 20 a second fit


def test_another_price_moves_the_mix() -> None:
    def reprice(run: Replay, now_s: float) -> None:
        models = run.config.models
        price = models[SMALL].price.model_copy(update={"request_usd": 1.0})
        run.configure(with_model(run.config, SMALL, price=price), now_s)

    told = replay(config(floor=None), recording())
    story = told.tell(traffic(2_000), [Event(50.0, reprice)])
    assert part_of(story, SMALL) < 0.2
    assert part_of(story, MIDDLE) > 0.8


def test_expected_accuracy_is_that_of_each_cell_and_model() -> None:
    recorded = recording()
    run = replay(config(), recorded)
    tables = tables_of(run)
    of = np.array([DOMAINS.index(domain) for domain in recorded.requests.domains])
    means = [[recorded.score[of == d, m].mean() for m in range(3)] for d in range(2)]
    assert sorted(tables.accuracy.tolist()) == sorted(np.array(means).tolist())
    assert np.abs(np.array(means) - ACCURACY).max() < 0.1
    assert len(tables.cells) == len(DOMAINS)


def test_a_domain_that_is_not_stated_is_read_from_the_text() -> None:
    recorded = recording()
    said = tuple(f"a question of {domain}" for domain in recorded.requests.domains)
    requests = replace(recorded.requests, texts=said, domains=("",) * len(said))
    match = [MatchConfig(keywords=KeywordsConfig(any_of=(name,))) for name in DOMAINS]
    domains = tuple(
        DomainConfig(name=name, match=one) for name, one in zip(DOMAINS, match, strict=True)
    )
    of = config().model_copy(update={"domains": domains})
    stated, read = (
        tables_of(replay(of, replace(recorded, requests=one)))
        for one in (recorded.requests, requests)
    )
    assert stated.cells == read.cells
    assert (stated.cell_of == read.cell_of).all()


def test_a_domain_that_the_configuration_lacks_is_not_stated() -> None:
    of = config().model_copy(update={"domains": (DomainConfig(name="law"),)})
    cells = tables_of(replay(of, recording())).cells
    assert {cell.domain for cell in cells} == {"law", "other"}


def test_a_latency_beyond_the_deadline_is_a_failure() -> None:
    of = config(floor=None)
    classes = (of.classes[0].model_copy(update={"deadline_s": 2.0}),)
    of = of.model_copy(update={"classes": classes})
    story = replay(of, recording(latency_s=3.0)).tell(traffic(200))
    assert all(one.place == NOBODY for one in story.served)
    assert max(one.latency_s for one in story.served) <= 2.0


def test_windows_longer_than_a_silence_hear_of_all_requests() -> None:
    of = config(floor=None).model_copy(update={"window_s": 30.0})
    run = replay(of, recording())
    story = run.tell(traffic(2_000))
    assert [one.at_s for one in story.planned] == [30.0, 60.0, 90.0]
    assert run.plane.plan is not None
    (of_all,) = run.plane.plan.classes
    assert of_all.requests_per_s == pytest.approx(20.0, rel=0.15)


def test_a_plan_comes_at_once_where_a_model_is_out() -> None:
    of = config().model_copy(update={"window_s": 60.0})
    gone = Event(70.0, lambda run, _now_s: run.answers.leave(MIDDLE))
    story = replay(of, recording()).tell(traffic(2_000), [gone])
    assert [one.at_s for one in story.planned][:2] == [60.0, 75.0]


def test_models_keep_the_places_of_the_configuration() -> None:
    recorded = recording()
    turned = replace(recorded, models=tuple(reversed(MODELS)), score=recorded.score[:, ::-1])
    run = replay(config(), turned)
    assert run.answers.columns == [2, 1, 0]
    assert [run.answers.quality(5, place) for place in range(3)] == recorded.score[5].tolist()
