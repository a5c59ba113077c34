import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest

from tests.server.cli import samples
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb


def test_the_plan_in_force_is_shown(run: Run, address: str) -> None:
    result = run("plan", "--admin", address)
    assert result.exit_code == 0
    assert "this mix costs $1.43 an hour" in result.stdout


def test_an_earlier_plan_is_asked_for_by_its_id(run: Run, address: str, answers: Answers) -> None:
    result = run("plan", "1-199", "--admin", address)
    assert result.exit_code == 0
    assert answers.wanted == pb.GetPlanRequest(plan_id="1-199")


def test_a_plan_that_is_not_kept_says_why(run: Run, address: str, answers: Answers) -> None:
    answers.refuse(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "there is no plan 1-9: why")
    result = run("plan", "1-9", "--admin", address)
    assert result.exit_code == 1
    assert "NOT_FOUND: there is no plan 1-9: why" in result.stderr


def test_an_earlier_plan_cannot_be_watched(run: Run, address: str) -> None:
    result = run("plan", "1-199", "--watch", "--admin", address)
    assert result.exit_code == 2
    assert "leave out --watch or the id" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("", "There is no plan yet: the first window has not ended. Until there is one,"),
        ("nothing has been asked yet", "There is no plan yet: nothing has been asked yet. Until"),
    ],
)
def test_before_the_first_plan_it_says_why_there_is_none_and_what_holds(
    run: Run, address: str, answers: Answers, reason: str, words: str
) -> None:
    answers.plans = [None]
    answers.no_plan_reason = reason
    result = run("plan", "--admin", address)
    assert result.exit_code == 0
    assert words in " ".join(result.stdout.split())


def test_json_has_every_field_under_its_name_in_the_protos(run: Run, address: str) -> None:
    plan = json.loads(run("plan", "--json", "--admin", address).stdout)["plan"]
    assert plan["cost_nano_usd_per_day"] == "41200000000"
    assert plan["budgets"][1]["binds"] is False
    assert "cost_nano_usd_per_day" not in plan["step_prices"][1]


def test_json_before_the_first_plan_has_no_plan(run: Run, address: str, answers: Answers) -> None:
    answers.plans = [None]
    answers.no_plan_reason = "why"
    assert json.loads(run("plan", "--json", "--admin", address).stdout) == {"no_plan_reason": "why"}


@pytest.mark.slow
def test_watching_prints_each_new_plan_once_until_it_is_interrupted(
    address: str, answers: Answers
) -> None:
    answers.plans = [_plan("1-1"), _plan("1-1"), _plan("1-2")]
    command = [sys.executable, "-m", "server.cli", "plan", "--watch", "--json", "--admin", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())["plan"]["id"] for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert seen == ["1-1", "1-2"]


@pytest.mark.slow
def test_watching_shows_the_newest_plan_and_outlives_the_service(
    address: str, answers: Answers
) -> None:
    answers.plans = [_plan("1-1"), _plan("1-2")]
    with _on_a_terminal("plan", "--watch", "--admin", address) as (process, seen):
        seen("Plan 1-1")
        seen("Plan 1-2")
        answers.refuse(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "the worker starts")
        seen("NOT_READY: the worker starts")
        answers.refusal = None
        seen("Plan 1-2")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


@contextmanager
def _on_a_terminal(*args: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], None]]]:
    """The command on a terminal of 80 columns, and how to wait for what it shows next."""
    screen, terminal = pty.openpty()
    shown = b""

    def seen(text: str) -> None:
        nonlocal shown
        while text.encode() not in shown:
            shown += os.read(screen, 65_536)
        shown = shown.partition(text.encode())[2]

    command = [sys.executable, "-m", "server.cli", *args]
    environ = os.environ | {"COLUMNS": "80", "LINES": "50", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=terminal, env=environ) as process:
        try:
            yield process, seen
        finally:
            process.kill()
            os.close(terminal)
            os.close(screen)


def _plan(plan_id: str) -> pb.Plan:
    plan = samples.plan()
    plan.id = plan_id
    return plan
