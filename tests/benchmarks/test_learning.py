"""Rows of docs/replay.md, at toy size and on made-up outcomes."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.learning.__main__ import app
from benchmarks.learning.ceilings import (
    CeilingRun,
    Published,
    ceiling_line,
    read_published,
    reader_of,
    runs_at,
)
from benchmarks.learning.drift import drifted
from benchmarks.learning.floors import Setting, prepared, runs
from benchmarks.learning.made import made
from benchmarks.learning.pareto import is_here, pareto
from benchmarks.learning.rivals import Point, World, accuracy_at, oracle, thompson
from benchmarks.learning.runs_file import RunsFile, line_of, runs_of
from benchmarks.learning.scenarios import SCENARIOS, outcomes
from benchmarks.learning.sets import IMPUTED_TOKENS, SETS, imputed, read_set
from benchmarks.learning.summary import table
from benchmarks.learning.targets import verdicts
from benchmarks.learning.tokens import (
    Calls,
    calls_of,
    error_of_half,
    forecast_error,
    halves,
    realised_cost,
)
from benchmarks.learning.versus import mean_with_interval, versus
from server.replay.figures import tables_of
from server.replay.recording import Recording, Requests, held_out

RECORDING, PRICES = made(1_400)


@pytest.mark.parametrize("priors", ["equal", "fair"])
def test_a_floor_row_tells_of_each_order(priors: str) -> None:
    setting = Setting("equal" if priors == "equal" else "fair", 0.4, 0.2)
    found = list(runs(RECORDING, PRICES, setting, orders=range(3, 5), requests=600))
    assert [run.order for run in found] == [3, 4]
    for run in found:
        assert 0.3 < run.accuracy < run.reachable + 1e-9
        assert run.cost_ratio >= 1.0 - 1e-6


def test_orders_differ_in_priors_queries_and_arrivals() -> None:
    (one, of_one), (other, of_other) = (
        prepared(RECORDING, PRICES, Setting("fair", 0.4, 0.2), order, 600) for order in (0, 1)
    )
    assert one.config.models[0].prior_accuracy != other.config.models[0].prior_accuracy
    assert (of_one.query != of_other.query).any()
    assert (of_one.at_s != of_other.at_s).any()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_told(name: str) -> None:
    (found,) = outcomes(RECORDING, PRICES, SCENARIOS[name], orders=range(1), requests=400)
    assert 0.3 < found.accuracy < 1.0
    assert 0.5 < found.answered <= 1.0


def test_rivals_have_the_same_requests() -> None:
    (found,) = versus(RECORDING, PRICES, Setting("fair", 0.5, 0.2), orders=range(1), requests=400)
    assert found.oracle_accuracy >= found.accuracy
    assert found.fixed_mix_cost_ratio is not None


def world(price_of_good: float) -> World:
    """One cell; the second model is always right, the first never."""
    return World(
        query=np.arange(400),
        cell_of=np.zeros(400, dtype=np.int64),
        score=np.tile([0.0, 1.0], (400, 1)),
        cost=np.tile([0.0, price_of_good], (400, 1)),
        priors=np.array([0.5, 0.5]),
        audit_rate=1.0,
    )


def test_thompson_learns_which_model_is_right() -> None:
    chosen = thompson(world(1.0), 0.0, np.random.default_rng(1))
    assert chosen[200:].mean() > 0.9


def test_thompson_takes_the_cheap_model_where_accuracy_is_not_worth_the_price() -> None:
    chosen = thompson(world(1.0), 2.0, np.random.default_rng(1))
    assert chosen.mean() < 0.1


@pytest.mark.skipif(not is_here(), reason="pip install paretobandit==0.1.1")
def test_paretobandit_asks_the_model_that_is_right_where_it_may_spend_enough() -> None:
    chosen = pareto(world(1e6), 0.01, 0.0, 1)
    assert chosen[200:].mean() > 0.9


def test_the_oracle_takes_the_cheapest_of_those_that_are_right() -> None:
    assert oracle(world(3.0)) == Point(1.0, 3.0)
    right = world(3.0)._replace(score=np.ones((400, 2)))
    assert oracle(right) == Point(1.0, 0.0)


def test_a_curve_is_read_between_its_points_and_not_beyond_them() -> None:
    curve = [Point(0.5, 1.0), Point(0.7, 3.0), Point(0.6, 4.0)]
    assert accuracy_at(curve, 2.0) == pytest.approx(0.6)
    assert accuracy_at(curve, 3.5) == pytest.approx(0.7)  # to pay more for less is nobody's choice
    assert accuracy_at(curve, 0.5) is None
    assert accuracy_at(curve, 5.0) is None


def test_an_interval_holds_the_mean() -> None:
    mean, low, high = mean_with_interval(np.array([1.0, 2.0, 3.0, 2.0]))
    assert mean == pytest.approx(2.0)
    assert low < mean < high


def test_without_data_it_says_what_to_set() -> None:
    done = CliRunner(env={"TURNOUT_DATA": None}).invoke(app, ["floors"])
    assert done.exit_code == 1
    assert "set TURNOUT_DATA to its folder, or give --data DIR" in done.output


def test_a_folder_without_the_set_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["floors", "--data", str(tmp_path)])
    assert done.exit_code == 1
    assert "there is no queries.csv" in done.output


@pytest.mark.slow
@pytest.mark.skipif("TURNOUT_DATA" not in os.environ, reason="set TURNOUT_DATA")
def test_what_is_recorded_is_what_its_page_says() -> None:
    whole, prices = read_set(Path(os.environ["TURNOUT_DATA"]), "mmlu_pro")
    best = int(whole.score.mean(axis=0).argmax())
    assert whole.score.shape == (11_991, 28)
    assert whole.models[best] == "gemini-1.5-pro-002"
    assert whole.score[:, best].mean() == pytest.approx(0.7024, abs=5e-5)
    assert whole.score.max(axis=1).mean() == pytest.approx(0.9446, abs=5e-5)
    assert prices.keys() == set(whole.models)
    assert len(held_out(whole).requests.ids) == 8_110


def test_of_a_model_that_gets_worse_it_is_told_when_plans_make_up_for_it() -> None:
    told: list[int] = []
    (found,) = drifted(
        RECORDING,
        PRICES,
        0.5,
        orders=range(1),
        after_s=60.0,
        on_window=told.append,
        followed=800,
    )
    assert found.drop == pytest.approx(0.2, abs=0.06)
    assert 0 <= found.below <= 900  # it is followed to the end of a window, which has 100
    assert told == sorted(told)
    assert told[-1] > 1_900


def test_answers_of_unknown_length_are_imputed_and_others_stay() -> None:
    unknown = replace(RECORDING, output_tokens=np.full(RECORDING.score.shape, np.nan))
    assert (imputed(unknown).output_tokens == IMPUTED_TOKENS).all()
    assert imputed(RECORDING) is RECORDING


def test_arrivals_are_those_of_a_trace() -> None:
    setting, trace = Setting("fair", 0.4, 0.2), np.linspace(0.0, 30.0, 100)
    (traced,) = runs(RECORDING, PRICES, setting, orders=range(1), requests=400, arrivals=trace)
    (drawn,) = runs(RECORDING, PRICES, setting, orders=range(1), requests=400)
    assert replace(traced, took_s=0.0) != replace(drawn, took_s=0.0)


@pytest.mark.slow
@pytest.mark.skipif("TURNOUT_DATA" not in os.environ, reason="set TURNOUT_DATA")
@pytest.mark.parametrize("name", SETS)
def test_the_floors_of_a_set_are_within_reach(name: str) -> None:
    recording, prices = read_set(Path(os.environ["TURNOUT_DATA"]), name)
    replay, _ = prepared(recording, prices, Setting("fair", SETS[name].floors[-1], 0.2), 0, 1)
    tables = tables_of(replay)
    weight = np.bincount(tables.cell_of) / tables.cell_of.size
    assert SETS[name].floors[-1] < weight @ tables.accuracy.max(axis=1)
    assert SETS[name].floors[0] > (weight @ tables.accuracy).min()


def line(order: int, accuracy: float, cost_ratio: float) -> str:
    run = {"priors": "fair", "audit_rate": 0.2, "floor": 0.6, "order": order}
    found = {"accuracy": accuracy, "cost_ratio": cost_ratio, "probes": 0.01, "named_short": 0.0}
    return json.dumps(run | found | {"cost_nano_usd": 50.0, "single_nano_usd": 100.0})


def test_runs_are_summed_up_with_intervals_and_each_order_counts_once() -> None:
    lines = [line(n, 0.61, 1.0 + n / 100) for n in range(9)]
    told = list(table(runs_of([*lines, line(9, 0.59, 1.2), line(9, 0.59, 1.2)])))
    row = next(one for one in told if one.startswith("| fair"))
    for said in ("1 of 10", "0.6100 (0.5900)", "1.045 (1.01 to 1.08)", "0.50", "1.0%"):
        assert said in row
    assert "fair priors, audit 0.2: missed 1 of 10 (1.8% to 40.4%)" in told


def test_each_target_is_met_missed_or_undecided() -> None:
    lines = [line(n, 0.61 if n else 0.59, 1.1 + n / 1_000) for n in range(9)]
    told = list(verdicts(runs_of(lines)))
    assert told == [
        "fair priors, audit 0.2: missed 1 of 9 (2.0% to 43.5%), at most 2 of 96: undecided",
        "fair priors, audit 0.2, floor 0.60: cost 1.104 (1.101 to 1.107), at most 1.03: missed",
        "fair priors, audit 0.2, floor 0.60: 0.50 of the cheapest single model (0.50 to 0.50), "
        "not above it beyond the interval: met",
    ]


def test_of_as_many_runs_as_a_target_names_the_count_decides() -> None:
    lines = [line(n, 0.59 if n < 2 else 0.61, 1.0) for n in range(96)]
    assert next(verdicts(runs_of(lines))).endswith("at most 2 of 96: met")
    assert next(verdicts(runs_of([*lines, line(2, 0.59, 1.0)]))).endswith("at most 2 of 96: missed")


def test_a_run_of_another_set_has_a_row_of_its_own_and_no_target() -> None:
    other = json.dumps(json.loads(line(0, 0.5, 1.0)) | {"of": "llmrouter_mix"})
    told = list(table(runs_of([line(0, 0.61, 1.0), other])))
    assert any(row.startswith("| llmrouter_mix: fair, 0.2 |") for row in told)
    assert "llmrouter_mix: fair priors, audit 0.2: missed 1 of 1 (20.7% to 100.0%)" in told
    assert sum("at most 2 of 96" in row for row in told) == 1


def test_runs_that_were_stopped_go_on_where_they_were(tmp_path: Path) -> None:
    path, setting = tmp_path / "runs.jsonl", Setting("fair", 0.4, 0.2)
    (run,) = runs(RECORDING, PRICES, setting, orders=[4], requests=200)
    RunsFile(path, "made").add(setting, run)
    with path.open("a") as file:
        file.write('{"of": "made", "pri')  # stopped in the middle of a line
    again = RunsFile(path, "made")
    assert again.missing(setting, range(3, 6)) == [3, 5]
    assert RunsFile(path, "another").missing(setting, [4]) == [4]
    again.add(setting, replace(run, order=5))
    assert RunsFile(path, "made").missing(setting, range(3, 6)) == [3]


def test_what_floors_print_as_json_is_what_its_summary_reads() -> None:
    (run,) = runs(RECORDING, PRICES, Setting("fair", 0.4, 0.2), orders=range(1), requests=200)
    told = line_of("mmlu_pro", Setting("fair", 0.4, 0.2), run)
    assert any("| fair, 0.2 | 0.40 |" in row for row in table(runs_of([told])))


def drawn(seed: int, count: int) -> Calls:
    """Two models in two cells: one writes ten times as much, and of code three times as much."""
    random = np.random.default_rng(seed)
    cell, model = random.integers(2, size=(2, count))
    mean = np.array([[10, 100], [30, 300]])[cell, model]
    written = random.poisson(mean).astype(np.float64)
    return Calls([("chat", "code")[c] for c in cell], [f"m{m}" for m in model], written)


def test_tokens_are_forecast_better_by_cell_and_model_than_by_the_model() -> None:
    found = forecast_error(drawn(1, 400), drawn(2, 400))
    assert found.pairs == 4
    assert found.learned < 0.1 < found.of_model < found.nominal


def test_calls_of_an_api_are_split_into_halves_that_share_none() -> None:
    learned, held = halves(101, 3)
    assert sorted([*learned, *held]) == list(range(101))
    assert error_of_half(drawn(3, 800), 3).answers == 400


def test_a_mix_that_rests_on_a_forecast_costs_no_less_than_the_cheapest() -> None:
    queries, columns = np.arange(700), np.arange(700) % 28
    calls = calls_of(RECORDING, queries, columns)
    costs = realised_cost(RECORDING, PRICES, calls, np.arange(700, 1_400), 0.5)
    assert set(costs) == {"nominal", "of_model", "learned"}
    assert all(cost >= 1.0 - 1e-9 for cost in costs.values())


SOURCES = ("sums of numbers", "law of the land")


def under_a_ceiling(queries: int) -> Recording:
    """Two sources; the dear model is right in both, the cheap one only in the second."""
    of = np.arange(queries) % 2
    unknown = np.full((queries, 2), np.nan)
    part = np.where(np.arange(queries) < queries // 2, "val", "test")
    return Recording(
        requests=Requests(
            ids=tuple(f"{part[n]}-{n}" for n in range(queries)),
            texts=tuple(f"{SOURCES[k]}, the {n}th" for n, k in enumerate(of)),
            domains=tuple(("sums", "law")[k] for k in of),
            traffic_classes=("",) * queries,
            tenants=("",) * queries,
            input_tokens=(10,) * queries,
        ),
        models=("cheap", "dear"),
        score=np.column_stack([of, np.ones(queries)]).astype(np.float64),
        input_tokens=unknown,
        output_tokens=unknown,
        cost_usd=np.tile([0.0001, 0.01], (queries, 1)),
        latency_s=unknown,
    )


def test_under_a_ceiling_the_dear_model_is_asked_where_it_helps_and_as_often_as_is_paid_for() -> (
    None
):
    recording = under_a_ceiling(800)
    learned = reader_of(recording)
    assert set(learned.domains) == {"sums", "law"}
    ceiling_usd = 0.0001 + 0.25 * 0.0099  # for every other of the questions that need it
    (run,) = runs_at(recording, learned, ceiling_usd, seeds=[1])
    assert run.answered == 1.0
    assert run.cost_usd <= ceiling_usd * 1.02
    assert run.score > 0.68  # of a coin that knows no source: 0.625; of hindsight: 0.75


def test_what_was_published_is_read_by_rising_ceiling(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(
        "method,model,target_usd_per_request,mean_score,mean_cost_usd\n"
        "random,,,0.88,0.005\npacer,,0.1,0.8,0.09\npacer,,0.2,0.9,0.19\n"
    )
    assert read_published(path) == [Published(0.1, 0.8, 0.09), Published(0.2, 0.9, 0.19)]


def test_a_ceiling_is_told_with_its_interval_and_how_many_seeds_kept_it() -> None:
    found = [CeilingRun(0.1, n, 0.82 + n / 1_000, 0.0995 + n / 2_000, 1.0) for n in range(3)]
    told = ceiling_line(Published(0.1, 0.8, 0.09), found)
    assert "score 0.82100, published 0.80000: +0.02100 (+0.01852 to +0.02348), above" in told
    assert "cost 1.000 of the ceiling (most 1.005), within it 2 of 3" in told
