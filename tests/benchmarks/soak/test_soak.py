"""The soak itself: seconds of it against a real service, and what it must not overlook."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.soak.__main__ import app
from benchmarks.soak.aftermath import judge_memory, settle
from benchmarks.soak.beside import CALLS_PER_S
from benchmarks.soak.callers import Call, be_late, infer, report, route, watch
from benchmarks.soak.clients import Client, Grpcio, Ours, Refused
from benchmarks.soak.filling import report_many
from benchmarks.soak.memory import Slope
from benchmarks.soak.misdeeds import MISDEEDS, Misdeed
from benchmarks.soak.report import told
from benchmarks.soak.run import Findings, commit, soak
from benchmarks.soak.stage import stage
from benchmarks.soak.tally import FAULTS_TOLD_MAX, Fault, Tally

PASSED = Findings(
    minutes=10,
    seed=7,
    faults=(),
    faults_count=0,
    done={"route ours": 3},
    slowest_s={"route ours": 0.25},
    decided=3,
    limits_reached={"pings": 2},
    memory={"worker-0": Slope(0.1, 0.2)},
)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(120)
def test_seconds_of_the_mixed_load_pass(tmp_path: Path) -> None:
    findings = soak(tmp_path / "mixed", minutes=0.1, seed=7)
    assert findings.faults == ()
    assert findings.decided > 0
    assert findings.limits_reached["pings"] > 0
    assert {"supervisor", "control plane", "worker-0", "worker-1"} <= set(findings.memory)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(60)
async def test_as_many_decisions_as_are_to_be_remembered_are_reported_before_an_hour(
    tmp_path: Path,
) -> None:
    tally, reported = Tally(), 1_500
    with stage(tmp_path, workers=1) as service:
        await report_many(service.data, tally, reported)
        await settle(service, tally, service.supervisor.num_fds())
    assert (tally.decided, tally.faults) == (reported, [])


async def test_an_hour_does_not_begin_where_reports_fail(hanging_up: str) -> None:
    with pytest.raises(Refused, match="UNAVAILABLE"):
        await report_many(hanging_up, Tally(), 1)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(60)
def test_a_second_of_one_attack_is_measured() -> None:
    done = CliRunner().invoke(app, ["--only", "harmless", "--seconds", "1", "--json"])
    attacks = json.loads(done.stdout)["attacks"]
    assert (done.exit_code, attacks["faults"]) == (0, [])
    (harmless,) = attacks["measured"]
    assert set(harmless["answers"]) == {"OK"}
    assert harmless["calls"] == CALLS_PER_S
    assert 0 < harmless["resident"]["before"] <= harmless["resident"]["peak"]


def test_an_attack_that_is_not_known_is_told_with_those_that_are() -> None:
    done = CliRunner().invoke(app, ["--only", "bombs"])
    assert done.exit_code == 2
    assert "overrun" in done.stderr


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.name)
async def test_a_server_that_ends_connections_without_a_code_is_at_fault(
    misdeed: Misdeed, hanging_up: str
) -> None:
    with pytest.raises(Fault):
        await commit(misdeed, hanging_up, random.Random(1))


@pytest.mark.parametrize("kind", [Ours, Grpcio])
@pytest.mark.parametrize("call", [route, infer, report, watch, be_late])
async def test_a_call_that_fails_is_a_fault(
    call: Call, kind: Callable[[str], Client], hanging_up: str
) -> None:
    client, tally = kind(hanging_up), Tally()
    with pytest.raises(Fault, match="UNAVAILABLE"):
        await call(client, tally, random.Random(1))
    await client.close()
    assert tally.decided == 0


def test_memory_that_may_grow_too_fast_is_a_fault_of_a_long_run() -> None:
    tally = Tally()
    slopes = {"worker-0": Slope(0.9, 1.1), "supervisor": Slope(0.1, 0.3), "control plane": None}
    judge_memory(slopes, 10.0, tally)
    assert len(tally.faults) == 1
    assert "worker-0" in tally.faults[0]


def test_an_hour_shows_less_growth_and_that_of_the_control_plane() -> None:
    tally = Tally()
    judge_memory({"worker-0": Slope(0.0, 0.1), "control plane": Slope(0.1, 0.3)}, 60.0, tally)
    assert len(tally.faults) == 1
    assert "control plane" in tally.faults[0]


def test_memory_is_not_judged_in_a_short_run() -> None:
    tally = Tally()
    judge_memory({"worker-0": Slope(90.0, 110.0)}, 1.0, tally)
    assert tally.faults == []


def test_what_was_not_measured_is_a_fault_of_a_long_run() -> None:
    tally = Tally()
    judge_memory({"worker-0": None}, 10.0, tally)
    assert tally.faults_count == 1


def test_of_faults_the_first_are_told_and_all_are_counted() -> None:
    tally = Tally()
    for _ in range(FAULTS_TOLD_MAX + 5):
        with tally.counting("route"):
            raise Fault("no answer")
    assert tally.faults == FAULTS_TOLD_MAX * ["route: no answer"]
    assert tally.faults_count == FAULTS_TOLD_MAX + 5
    assert not tally.done


def test_people_are_told_that_it_passed() -> None:
    lines = told(PASSED).splitlines()
    assert lines[0] == "soak of 10 minutes, seed 7"
    assert lines[-1] == "passed"
    assert any("worker-0" in line and "0.20" in line for line in lines)
