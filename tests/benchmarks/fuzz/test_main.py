"""The command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.fuzz import failures
from benchmarks.fuzz.__main__ import app
from benchmarks.fuzz.meter import Cost
from benchmarks.fuzz.report import told
from benchmarks.fuzz.search import Findings, Found

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux"
)

COST = Cost(2_048, 0.004, 0.003, 2**20 + 4_096, "OK")
FOUND = Found(b"input", COST)


def findings(*kinds: str) -> Findings:
    return Findings(
        inputs=12,
        worst=dict.fromkeys(("s_a_kb", "stretch_s", "bytes_a_byte"), FOUND),
        failures=dict.fromkeys(kinds, FOUND),
        failures_count=len(kinds),
    )


def test_a_moment_of_it_passes() -> None:
    done = CliRunner().invoke(
        app, ["--target", "decision id", "--seconds", "0.1", "--seed", "1", "--json"]
    )
    told_of = json.loads(done.stdout)["targets"]["decision id"]
    assert (done.exit_code, told_of["failures"]) == (0, {})
    assert told_of["inputs"] >= 1
    assert set(told_of["worst"]) == {"s_a_kb", "stretch_s", "bytes_a_byte"}


def test_an_unknown_target_is_told_of_with_those_there_are() -> None:
    done = CliRunner().invoke(app, ["--target", "rout"])
    assert done.exit_code == 2
    assert "route batch" in done.stderr


def test_people_are_told_the_worst() -> None:
    lines = told({"route": findings()}, 7).splitlines()
    assert lines[0].startswith("fuzz, seed 7")
    assert lines[2].split() == [
        *("route", "12", "0", "2.00", "2", "KB", "3.00", "2", "KB", "2.00", "2", "KB", "0", "0")
    ]
    assert lines[-1] == "passed"


def test_a_failing_input_can_be_run_again_as_it_is_told() -> None:
    (said,) = failures.write({"route": findings("memory")}, minimize=False)
    command = said.splitlines()[1].split("benchmarks.fuzz ")[1]
    assert "FAILED route: memory" in said
    file = Path(command.split()[-1])
    assert file.read_bytes() == b"input"
    done = CliRunner().invoke(app, ["--target", "route", "--repeat", str(file)])
    assert done.exit_code == 0
    assert done.stdout.startswith("route: passed: ")


def test_without_failures_nothing_is_written() -> None:
    assert failures.write({"route": findings()}, minimize=True) == ()
