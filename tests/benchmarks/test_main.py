import io
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app, in_turn
from benchmarks.catalogue import BENCHMARKS, skipped_here
from benchmarks.floors.proxies import LITELLM, absence
from benchmarks.harness import Benchmark, Measured, Row, Skipped, measured_from
from benchmarks.results import page as page_of
from benchmarks.tables import (
    VERDICTS,
    duration,
    in_full,
    rows_table,
    summary_table,
    why_skipped,
)

# In this order: others read them.
KEYS = [
    "name",
    "subject",
    "floor",
    "ratio",
    "ratio_low",
    "ratio_high",
    "subject_us",
    "floor_us",
    "target",
    "unit",
]
MARKS = {
    "chat": [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.needs("envoy", "nginx")],
    "stream": [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.needs("envoy", "nginx")],
    "overload": [pytest.mark.slow, pytest.mark.timeout(240)],
    "publish": [pytest.mark.slow],
    "route": [pytest.mark.slow, pytest.mark.timeout(240)],
    "route_batch": [pytest.mark.slow],
    "workers": [pytest.mark.slow, pytest.mark.timeout(240)],
    "infer": [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.needs("envoy", "nginx")],
}
RUNNER = CliRunner(env={"COLUMNS": "120"})
SKIPPED = Skipped("infer.c/Envoy", "Infer", "Envoy", "envoy is not on the PATH: `make peers`")


@pytest.mark.parametrize("columns", ["40", "120"])
def test_list_names_every_row_in_full_however_narrow_the_terminal_is(columns: str) -> None:
    lines = CliRunner(env={"COLUMNS": columns}).invoke(app, ["list"]).stdout.splitlines()
    named = {line.split("  ")[1] for line in lines if line.startswith("  ")}
    claims = {claim.name for each in BENCHMARKS.values() for claim in each.claims}
    assert claims <= named


def test_list_says_how_long_each_takes_and_all_and_where_that_is_from() -> None:
    listed = RUNNER.invoke(app, ["list"]).stdout
    for benchmark in BENCHMARKS.values():
        row = rf"^ +{benchmark.name} +{len(benchmark.claims)} +{duration(benchmark.takes_s)}$"
        assert re.search(row, listed, re.MULTILINE)
    assert re.search(r"^ +all +\d+ +\d+ min$", listed, re.MULTILINE)
    assert "calculated" in listed


def test_list_as_json_has_every_limit_and_null_for_none() -> None:
    listed = json.loads(RUNNER.invoke(app, ["list", "--json"]).stdout)
    assert [each["name"] for each in listed] == list(BENCHMARKS)
    assert all(each["takes_s"] > 0 for each in listed)
    assert listed[0]["rows"] == [
        {
            "name": "pick",
            "subject": "Selector.pick",
            "floor": "random.random()",
            "unit": "us",
            "ratio_max": None,
            "subject_us_max": 1,
            "skipped": None,
        }
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(2.2, "3 s"), (89.0, "89 s"), (91.0, "2 min"), (1_740.0, "29 min")]
)
def test_a_duration_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_rows_have_exactly_the_keys_that_others_read() -> None:
    done = RUNNER.invoke(app, ["run", "pick", "--toy", "--json"])
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [KEYS]
    assert rows[0]["name"] == "pick"


def row(name: str, high: float) -> Row:
    return Row(name, "Infer", "grpc.aio", 1.0, 0.9, high, 46.0, 23.0, 1.1)


ENDED: dict[str, list[Measured]] = {
    "infer": [row("infer.a", 1.0), row("infer.b", 1.2), SKIPPED],
    "route": [row("route.a", 1.0)],
}


def test_a_table_says_whether_the_target_is_met() -> None:
    table = in_full(rows_table([row("infer.a", 1.0), row("infer.b", 1.2)], toy=False))
    _, met, undecided = table.splitlines()
    assert met.split()[-2:] == ["1.10", "met"]
    assert undecided.split()[-2:] == ["1.10", "undecided"]


def test_a_toy_run_gives_no_verdict() -> None:
    done = RUNNER.invoke(app, ["run", "pick", "--toy"])
    assert done.exit_code == 0
    assert "measures nothing" in done.stdout
    assert not any(verdict in done.stdout for verdict in (*VERDICTS, "target"))


def test_a_run_ends_with_how_many_rows_ended_how() -> None:
    counts = [line.split() for line in in_full(summary_table(ENDED)).splitlines()]
    assert ["benchmark", *VERDICTS] in counts
    assert ["infer", "1", "0", "1", "1"] in counts
    assert ["route", "1", "0", "0", "0"] in counts
    assert ["all", "2", "0", "1", "1"] in counts


def test_a_run_says_first_how_long_it_takes_and_then_how_far_it_is() -> None:
    benchmarks = [Benchmark(name, (), lambda _: (), takes_s=60) for name in ("pick", "tokens")]
    said = io.StringIO()
    assert list(in_turn(benchmarks, toy=False, said=said)) == benchmarks
    first, *others = said.getvalue().splitlines()
    assert first.startswith("2 min in all. ")
    assert "calculated" in first
    assert others == [
        "pick, 1 of 2: about 60 s of 2 min left",
        "tokens, 2 of 2: about 60 s of 60 s left",
    ]


def test_a_skipped_row_says_so_in_the_table_and_why_below_it() -> None:
    table = in_full(rows_table([SKIPPED], toy=False))
    assert table.splitlines()[-1].split() == ["infer.c/Envoy", "skipped"]
    assert why_skipped([SKIPPED, SKIPPED]) == [
        "2 rows are skipped: envoy is not on the PATH: `make peers`"
    ]


def test_a_skipped_row_survives_json_and_stands_in_the_results() -> None:
    again = measured_from(json.loads(json.dumps(asdict(SKIPPED))))
    assert again == SKIPPED
    assert "skipped: envoy is not on the PATH" in page_of([SKIPPED])


@pytest.mark.parametrize("peer", ["Envoy", "nginx"])
def test_a_peer_that_is_missing_is_named_with_how_to_get_it(peer: str, tmp_path: Path) -> None:
    missing = absence(peer, path=str(tmp_path))
    assert missing.startswith(f"{peer.lower()} is not on the PATH: ")
    assert "the PATH" in missing
    assert absence("grpc.aio", path=str(tmp_path)) == ""


def test_rows_that_would_be_skipped_are_known_before_a_run() -> None:
    found = skipped_here(
        [BENCHMARKS["infer"]], lambda floor: "not here" if floor == "Envoy" else ""
    )
    assert {row.floor for row in found} == {"Envoy"}
    assert {row.skipped for row in found} == {"not here"}
    envoys = [claim for claim in BENCHMARKS["infer"].claims if claim.floor == "Envoy"]
    assert [row.name for row in found] == [claim.name for claim in envoys]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_run_without_peers_measures_the_rest_and_names_what_it_skipped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "run", "infer", "--toy", "--json"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = [measured_from(each) for each in json.loads(done.stdout)]
    assert [each.name for each in rows] == [claim.name for claim in BENCHMARKS["infer"].claims]
    assert {each.floor for each in rows if isinstance(each, Skipped)} == {"Envoy", "nginx"}
    assert {each.floor for each in rows if isinstance(each, Row)} == {"grpc.aio"}
    assert "Of these, " in done.stderr.splitlines()[0]
    assert "rows are skipped: envoy is not on the PATH" in done.stderr


def test_an_unknown_name_is_told_what_there_is() -> None:
    done = RUNNER.invoke(app, ["run", "pick", "route2", "--toy"])
    assert done.exit_code == 2
    assert "route2" in done.stderr
    assert "publish" in done.stderr
    assert done.stdout == ""


@pytest.mark.needs("git")
def test_results_are_the_rows_with_commit_and_machine(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(RUNNER.invoke(app, ["run", "pick", "--toy", "--json"]).stdout)
    page = RUNNER.invoke(app, ["results", str(rows)]).stdout
    assert "| `pick` | Selector.pick | random.random() |" in page
    for word in ("Commit: ", "Machine: ", "Python 3."):
        assert word in page


@pytest.mark.needs("git")
def test_results_name_the_unit_of_what_was_measured() -> None:
    row = Row("rest", "worker", "grpc.aio", 2.0, 1.9, 2.1, 46.0, 23.0, 2.5, "MB")
    assert "| 46.00 MB | 23.00 MB |" in page_of([row])


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=MARKS.get(name, ())) for name in BENCHMARKS],
)
def test_every_benchmark_runs_at_toy_size(name: str) -> None:
    rows = BENCHMARKS[name].run(True)
    assert [each.name for each in rows] == [claim.name for claim in BENCHMARKS[name].claims]
    measured = [each for each in rows if isinstance(each, Row)]
    # LiteLLM's proxy takes 750 MB: whoever measures has it, by `make litellm`.
    assert {each.floor for each in rows if isinstance(each, Skipped)} <= {LITELLM}
    assert all(0 < each.ratio_low <= each.ratio <= each.ratio_high for each in measured)
