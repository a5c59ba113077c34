import json

from rich.console import Console

from server.cli.classes import table
from tests.server.cli import samples
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb

SHOWN = """\
class   floor              SLO  audited  priority  deadline
───────────────────────────────────────────────────────────
strict  90.0%  99.0% in 800 ms     5.0%        10       5 s
bulk     none             none     0.0%         0      60 s"""


def test_classes_in_80_columns() -> None:
    console = Console(width=80, _environ={})
    with console.capture() as capture:
        console.print(table(pb.ListClassesResponse(classes=samples.classes())))
    assert "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip() == SHOWN


def test_classes_are_listed_with_and_without_the_verb(run: Run, address: str) -> None:
    shown = run("class", "--admin", address).stdout
    assert "strict" in shown
    assert run("class", "list", "--admin", address).stdout == shown


def test_json_has_every_class(run: Run, address: str) -> None:
    classes = json.loads(run("class", "list", "--json", "--admin", address).stdout)["classes"]
    assert [one["name"] for one in classes] == ["strict", "bulk"]


def test_what_a_class_is_promised_is_set(run: Run, address: str, answers: Answers) -> None:
    result = run("class", "set", "strict", "floor=0.9", "slo.ms=900", "--admin", address)
    assert result.exit_code == 0
    wanted = pb.TrafficClass(name="strict", floor=0.9, slo=pb.Slo(ms=900))
    assert answers.class_update.traffic_class == wanted
    assert list(answers.class_update.update_mask.paths) == ["floor", "slo.ms"]
    assert "strict: floor is 0.9" in result.stdout
    assert "strict: slo.ms is 900" in result.stdout


def test_what_a_class_is_promised_is_taken_back(run: Run, address: str, answers: Answers) -> None:
    result = run("class", "set", "strict", "floor=none", "slo=none", "--admin", address)
    assert answers.class_update.traffic_class == pb.TrafficClass(name="strict")
    assert list(answers.class_update.update_mask.paths) == ["floor", "slo"]
    assert "strict: slo is none" in result.stdout


def test_json_of_a_change_is_the_class(run: Run, address: str) -> None:
    result = run("class", "set", "strict", "floor=0.9", "--admin", address, "--json")
    assert json.loads(result.stdout)["floor"] == 0.9
