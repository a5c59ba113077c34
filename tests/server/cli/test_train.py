import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.control.kept_requests import KeptRequests
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.training.examples import Example
from tests.server.cli.conftest import Run
from tests.server.training.made import examples


def write(path: Path, rows: list[Example]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("text", "label", "domain"))
        table.writerows((row.text, row.intent or "oos", row.domain) for row in rows)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data.csv", examples(40, outside=20))


def test_a_classifier_is_written_and_judged(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "classifier.bin"
    result = run("train", data, "--out", out)
    assert result.exit_code == 0, result.output
    assert LearnedClassifier.from_bytes(out.read_bytes()).domains == ("bank", "travel")
    assert "Text that was held out" in result.stdout
    assert "120 inside, 20 out of scope" in result.stdout
    assert f"{out.name}: written," in result.stdout
    assert "6 of 6" in result.stderr


def test_the_report_as_json_has_the_test_too(run: Run, data: Path, tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", examples(5, seed=3, outside=2))
    result = run("train", data, "--out", tmp_path / "c.bin", "--test", test, "--json")
    told = json.loads(result.stdout)
    assert told["held_out"]["inside"] == 120
    assert told["test"]["outside"] == 2
    assert 0 <= told["test"]["stored"]["outside_refused"] <= 1


def test_bad_data_is_refused_and_nothing_written(run: Run, tmp_path: Path) -> None:
    data, out = tmp_path / "data.csv", tmp_path / "classifier.bin"
    data.write_text("text,label\nhi,greet\n,leave\n")
    result = run("train", data, "--out", out)
    assert result.exit_code == 1
    assert f"{data}, row 3: the text is empty" in result.stderr
    assert not out.exists()


def test_a_file_that_cannot_be_written_is_named(run: Run, data: Path, tmp_path: Path) -> None:
    result = run("train", data, "--out", tmp_path / "nowhere" / "classifier.bin")
    assert result.exit_code == 1
    assert "it cannot be written: No such file or directory" in result.stderr


@pytest.mark.slow
def test_without_scikit_learn_it_says_what_to_install(data: Path, tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").touch()  # hides the real one, and has nothing in it
    command = (sys.executable, "-m", "server.cli", "train", data, "--out", tmp_path / "c.bin")
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)
    assert result.returncode == 1
    assert "pip install scikit-learn" in result.stderr


def test_it_learns_from_reports_of_a_state_folder(run: Run, tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 1_000)
    for number, example in enumerate(examples(20)):
        kept.add(str(number), example.text, domain="other", intent="")
        kept.report(str(number), domain=example.domain)
    kept.writing()()
    result = run("train", "--from-reports", tmp_path, "--out", tmp_path / "c.bin")
    assert result.exit_code == 0, result.output
    assert "60 inside, 0 out of scope" in result.stdout


def test_reported_texts_that_say_too_little_are_counted(run: Run, tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 1_000)
    kept.add("none", "a text", domain="other", intent="")
    kept.report("none", domain="???")
    for number, example in enumerate(examples(20)):
        kept.add(str(number), example.text, domain="other", intent="")
        kept.report(str(number), domain=example.domain)
    kept.writing()()
    command = ("train", "--from-reports", tmp_path, "--out", tmp_path / "c.bin")
    assert "reported texts left out: 1 (" in run(*command).stdout
    assert json.loads(run(*command, "--json").stdout)["reported_left_out"] == 1


def test_without_anything_to_learn_from_it_says_what_to_give(run: Run, tmp_path: Path) -> None:
    result = run("train", "--out", tmp_path / "c.bin")
    assert result.exit_code == 2
    assert "--from-reports" in result.stderr
