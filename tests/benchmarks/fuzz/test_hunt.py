"""A target whose search does not come back is told of like any other."""

from pathlib import Path

from benchmarks.fuzz import failures
from benchmarks.fuzz.apart import Begin
from benchmarks.fuzz.hunt import found_by
from benchmarks.fuzz.report import told
from benchmarks.fuzz.search import Findings


def hangs(begin: Begin) -> Findings:
    begin(b"an input")
    while True:
        pass


def test_an_input_that_hangs_is_a_failure_that_can_be_repeated() -> None:
    found = {"route": found_by(hangs, 0.2)}
    assert told(found, 7).splitlines()[-1] == "1 inputs failed"
    (said,) = failures.write(found, minimize=False)
    assert "FAILED route: fault: hang: it took more than 0.2 s" in said
    assert Path(said.split()[-1]).read_bytes() == b"an input"
