import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.catalogue import BENCHMARKS
from benchmarks.harness import Row
from benchmarks.results import page as page_of

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
    "overload": [pytest.mark.slow, pytest.mark.timeout(240)],
    "publish": [pytest.mark.slow],
    "route": [pytest.mark.slow, pytest.mark.timeout(240)],
    "route_batch": [pytest.mark.slow],
    "workers": [pytest.mark.slow, pytest.mark.timeout(240)],
    "infer": [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.needs("envoy", "nginx")],
}
RUNNER = CliRunner(env={"COLUMNS": "120"})


def test_list_names_every_row() -> None:
    listed = RUNNER.invoke(app, ["list"]).stdout
    for benchmark in BENCHMARKS.values():
        assert all(claim.name in listed for claim in benchmark.claims)


def test_rows_have_exactly_the_keys_that_others_read() -> None:
    done = RUNNER.invoke(app, ["run", "pick", "--toy", "--json"])
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [KEYS]
    assert rows[0]["name"] == "pick"


def test_a_table_says_whether_the_target_is_met() -> None:
    done = RUNNER.invoke(app, ["run", "pick", "--toy"])
    assert done.exit_code == 0
    assert any(verdict in done.stdout for verdict in ("met", "missed", "undecided"))


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
    assert [row.name for row in rows] == [claim.name for claim in BENCHMARKS[name].claims]
    assert all(0 < row.ratio_low <= row.ratio <= row.ratio_high for row in rows)
