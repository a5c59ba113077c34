import json
from pathlib import Path

import pytest

from server.routing.learned_classifier.file_format import dump
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from tests.server.routing.learned_classifier.made import contents
from turnout.v1 import admin_pb2 as pb

DATA = dump(contents())
COMPARED = pb.ClassifierComparison(
    requests=1_200,
    same_domain=0.93,
    other_before=0.1,
    other_after=0.08,
    labelled=200,
    right_before=0.8,
    right_after=0.85,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "c.bin"
    file.write_bytes(DATA)
    return file


def test_domains_are_shown_against_the_training_mix(
    run: Run, answers: Answers, address: str
) -> None:
    shares = [pb.DomainShare(domain="law", trained=0.5, seen=0.125)]
    found = pb.ClassifierStatus(file="c.bin", drift=0.41, drifted=True, domains=shares)
    answers.info = pb.GetServerInfoResponse(classifier=found)
    out = run("classifier", "--admin", address).stdout
    assert "c.bin: drifted, stability index 0.410" in out
    assert out.splitlines()[-1].split() == ["law", "50.0%", "12.5%"]


def test_with_few_decisions_there_is_no_index(run: Run, answers: Answers, address: str) -> None:
    answers.info = pb.GetServerInfoResponse(classifier=pb.ClassifierStatus(file="c.bin"))
    assert "too few decisions" in run("classifier", "--admin", address).stdout


def test_without_a_classifier_it_says_how_to_have_one(run: Run, address: str) -> None:
    result = run("classifier", "--admin", address)
    assert result.exit_code == 1
    assert "classifier.file" in result.stderr


def test_another_takes_its_place(run: Run, answers: Answers, address: str, file: Path) -> None:
    answers.replacement = pb.UpdateClassifierResponse(in_force=True, comparison=COMPARED)
    result = run("classifier", "use", file, "--admin", address)
    assert result.exit_code == 0
    assert answers.replaced == pb.UpdateClassifierRequest(classifier=DATA)
    assert "right, of 200 labelled" in result.stdout
    assert "c.bin: in force" in result.stdout


def test_one_that_is_worse_does_not(run: Run, answers: Answers, address: str, file: Path) -> None:
    answers.replacement = pb.UpdateClassifierResponse(worse="it is wrong", comparison=COMPARED)
    result = run("classifier", "use", file, "--admin", address)
    assert result.exit_code == 1
    assert "clearly worse: it is wrong" in result.stdout
    assert "--force" in result.stdout


def test_a_dry_run_is_no_failure(run: Run, answers: Answers, address: str, file: Path) -> None:
    answers.replacement = pb.UpdateClassifierResponse(comparison=COMPARED)
    result = run("classifier", "use", file, "--dry-run", "--admin", address)
    assert result.exit_code == 0
    assert answers.replaced.dry_run
    assert "--force" not in result.stdout


def test_the_answer_as_json(run: Run, answers: Answers, address: str, file: Path) -> None:
    result = run("classifier", "use", file, "--force", "--json", "--admin", address)
    assert json.loads(result.stdout)["in_force"] is True
    assert answers.replaced.force


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    result = run("classifier", "use", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "cannot be read: No such file" in result.stderr
