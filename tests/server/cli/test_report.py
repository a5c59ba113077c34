import json
from pathlib import Path

import grpc
import pytest

from server.cli.report import LINE_BYTES_MAX, OUTCOMES_A_CALL
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import routing_pb2 as pb

ONE = {
    "decision_id": "d1",
    "usage": {"input_tokens": 812, "output_tokens": 9, "latency": "0.640s"},
    "feedback": [{"metric": "quality", "value": 0.5}],
    "domain": "law",
    "intent": "advice",
}


def sent(answers: Answers) -> list[pb.Outcome]:
    return [outcome for report in answers.reports for outcome in report.outcomes]


def outcome_file(folder: Path, *lines: object) -> Path:
    path = folder / "outcomes.jsonl"
    path.write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    )
    return path


def many(count: int) -> list[object]:
    return [{"decision_id": f"d{i}"} for i in range(count)]


def test_options_and_a_line_of_a_file_say_the_same(
    run: Run, address: str, answers: Answers, tmp_path: Path
) -> None:
    options = (
        *("--quality", "0.5", "--input-tokens", "812", "--output-tokens", "9"),
        *("--latency-ms", "640", "--domain", "law", "--intent", "advice"),
    )
    result = run("report", "d1", *options, "--address", address)
    assert (result.exit_code, result.stdout) == (0, "1 counted, 0 refused\n")
    run("report", "--file", outcome_file(tmp_path, ONE), "--address", address)
    first, second = sent(answers)
    assert first == second
    assert first.usage.latency.ToMilliseconds() == 640


def test_a_grade_alone_brings_no_usage(run: Run, address: str, answers: Answers) -> None:
    run("report", "d1", "--quality", "1", "--address", address)
    assert not sent(answers)[0].HasField("usage")


def test_a_failure_is_reported(run: Run, address: str, answers: Answers) -> None:
    run("report", "d1", "--failed", "--address", address)
    assert sent(answers)[0].usage.failed


def test_a_file_goes_in_calls_that_fit(
    run: Run, address: str, answers: Answers, tmp_path: Path
) -> None:
    file = outcome_file(tmp_path, *many(2 * OUTCOMES_A_CALL + 1))
    result = run("report", "--file", file, "--address", address)
    assert [len(report.outcomes) for report in answers.reports] == [OUTCOMES_A_CALL] * 2 + [1]
    assert result.stdout == f"{2 * OUTCOMES_A_CALL + 1} counted, 0 refused\n"


def test_standard_input_is_read(run: Run, address: str, answers: Answers) -> None:
    lines = '{"decision_id": "d1"}\n\n{"decision_id": "d2"}'
    run("report", "--file", "-", "--address", address, stdin=lines)
    assert [outcome.decision_id for outcome in sent(answers)] == ["d1", "d2"]


def test_what_is_refused_is_told_by_its_line_and_the_rest_is_counted(
    run: Run, address: str, answers: Answers, tmp_path: Path
) -> None:
    answers.results = {"d1": "USAGE_DUPLICATE"}
    result = run("report", "--file", outcome_file(tmp_path, *many(3)), "--address", address)
    assert result.exit_code == 1
    assert result.stderr == "line 2: USAGE_DUPLICATE: it was not counted\n"
    assert result.stdout == "2 counted, 1 refused\n"


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"decision": "d1"}', '{"decision_id": 7}', '"\\ud800"']
)
def test_a_line_that_is_no_outcome_is_refused_by_itself(
    run: Run, address: str, answers: Answers, tmp_path: Path, line: str
) -> None:
    file = outcome_file(tmp_path, {"decision_id": "d1"}, line, {"decision_id": "d3"})
    result = run("report", "--file", file, "--address", address)
    assert result.exit_code == 1
    assert "line 2: REQUEST_INVALID: it is no Outcome as JSON: " in result.stderr
    assert [outcome.decision_id for outcome in sent(answers)] == ["d1", "d3"]


def test_json_has_a_result_a_line(run: Run, address: str, answers: Answers, tmp_path: Path) -> None:
    answers.results = {"d1": "USAGE_DUPLICATE"}
    file = outcome_file(tmp_path, *many(2))
    result = run("report", "--file", file, "--address", address, "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"line": 1, "decision_id": "d0", "reason": "", "message": ""},
        {
            "line": 2,
            "decision_id": "d1",
            "reason": "USAGE_DUPLICATE",
            "message": "it was not counted",
        },
    ]
    assert result.exit_code == 1


def test_a_line_that_is_too_long_is_named_and_the_others_count(
    run: Run, address: str, tmp_path: Path
) -> None:
    lines = {"decision_id": "d1"}, "x" * 3 * LINE_BYTES_MAX, {"decision_id": "d3"}
    file = outcome_file(tmp_path, *lines)
    result = run("report", "--file", file, "--address", address)
    assert result.exit_code == 1
    said = f"line 2: REQUEST_INVALID: it has more than {LINE_BYTES_MAX:,} bytes"
    assert said in result.stderr
    assert "2 counted, 1 refused" in result.stdout


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--latency-ms", "inf"),
        ("--latency-ms", "1e300"),
        ("--input-tokens", 20 * "9"),
        ("--output-tokens", 20 * "9"),
    ],
)
def test_what_no_request_takes_is_refused_by_its_option(
    run: Run, address: str, option: str, given: str
) -> None:
    result = run("report", "d1", option, given, "--address", address)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.stderr


def test_a_service_that_is_away_is_told_with_what_to_do(
    run: Run, address: str, answers: Answers
) -> None:
    answers.refuse(grpc.StatusCode.UNAVAILABLE, "CONTROL_PLANE_DOWN", "report again")
    result = run("report", "d1", "--quality", "1", "--address", address)
    assert result.exit_code == 1
    assert "CONTROL_PLANE_DOWN: report again" in result.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "give the id of the decision, or --file"),
        (["d1", "--file", "x"], "give nothing beside --file"),
        (["--quality", "1", "--file", "x"], "give nothing beside --file"),
        (["d1"], "say what became of it"),
    ],
)
def test_a_report_that_says_nothing_or_twice_is_refused(
    run: Run, args: list[str], said: str
) -> None:
    result = run("report", *args)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_of_one_decision_no_line_is_told(run: Run, address: str, answers: Answers) -> None:
    answers.results = {"d1": "USAGE_DUPLICATE"}
    result = run("report", "d1", "--failed", "--address", address)
    assert result.exit_code == 1
    assert result.stderr == "turnout: USAGE_DUPLICATE: it was not counted\n"
