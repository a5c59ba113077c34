"""`turnout status`: the service, its plan and its workers."""

import json

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from server.cli.status import view
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb

NOW_S = 1_000.0


def at(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(seconds))


def worker(name: str = "w0", **more: object) -> pb.Worker:
    return pb.Worker(name=name, last_push=at(NOW_S - 1), decided=1_234, **more)  # type: ignore[arg-type]


def shown(*workers: pb.Worker, plan: pb.Plan | None = None) -> str:
    info = pb.GetServerInfoResponse(version="1.2", started=at(NOW_S - 300), workers=workers)
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(view(info, plan, now_s=NOW_S))
    return capture.get()


def plan(**more: object) -> pb.Plan:
    return pb.Plan(id="1-7", time=at(NOW_S - 4), window_s=5.0, **more)  # type: ignore[arg-type]


def test_it_says_how_long_it_runs_and_by_which_plan() -> None:
    head, of_plan, *_ = shown(plan=plan()).splitlines()
    assert head == "Turnout 1.2, up for 5 min"
    assert of_plan == "Plan 1-7, found 4 s ago"


def test_before_the_first_plan_it_says_so() -> None:
    text = shown(worker())
    assert "No plan yet" in text
    assert text.splitlines()[-1].split() == [
        "w0",
        "1",
        "s",
        "ago",
        "1,234",
        "0",
        "none",
        "yet",
        "-",
    ]


def test_a_plan_that_could_not_be_renewed_says_why() -> None:
    assert "No newer plan could be made: limit: too slow" in shown(
        plan=plan(failure="limit: too slow")
    )


def test_each_worker_is_shown_with_its_plan_and_how_old_that_is_now() -> None:
    row = shown(worker(plan_id="1-6", plan_age_s=9.0), plan=plan()).splitlines()[-1]
    assert row.split() == ["w0", "1", "s", "ago", "1,234", "0", "1-6", "10", "s"]


@pytest.mark.parametrize(("age_s", "late"), [(13.0, False), (15.0, True)])
def test_a_plan_that_is_older_than_three_windows_is_yellow(age_s: float, late: bool) -> None:
    info = pb.GetServerInfoResponse(workers=[worker(plan_id="1-7", plan_age_s=age_s)])
    console = Console(width=80, force_terminal=True, color_system="standard", _environ={})
    with console.capture() as capture:
        console.print(view(info, plan(), now_s=NOW_S))
    assert ("\x1b[33m" in capture.get()) is late


def test_it_asks_the_service(run: Run, address: str, answers: Answers) -> None:
    answers.info = pb.GetServerInfoResponse(version="1.2", workers=[worker(plan_id="1-204")])
    result = run("status", "--admin", address)
    assert result.exit_code == 0
    assert "Turnout 1.2" in result.stdout
    assert "1-204" in result.stdout


def test_json_has_every_field_under_its_name_in_the_protos(
    run: Run, address: str, answers: Answers
) -> None:
    answers.info = pb.GetServerInfoResponse(workers=[worker(plan_id="1-204", plan_age_s=2.5)])
    found = json.loads(run("status", "--json", "--admin", address).stdout)
    assert found["workers"][0]["plan_age_s"] == 2.5
