import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.server.cli.conftest import Run
from tests.server.replay.files import write_config, write_log
from tests.server.replay.recorded import recording


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "turnout.yaml")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log", recording())


def test_a_log_is_replayed_and_the_report_says_what_came_of_it(
    run: Run, config: Path, log: Path
) -> None:
    result = run("replay", config, log, "--requests", "1000")
    assert result.exit_code == 0, result.output
    for told in ("1,000 in ", "second half", "78.0%", "Who answered", "middle"):
        assert told in result.stdout


def test_the_report_as_json_is_the_same_each_time(run: Run, config: Path, log: Path) -> None:
    once, again = (
        run("replay", config, log, "--requests", "500", "--json").stdout for _ in range(2)
    )
    assert once == again
    told = json.loads(once)
    assert told["requests"] == 500
    of_all = told["stretches"][-1]["classes"][0]
    assert (of_all["traffic_class"], of_all["floor"]) == ("all", 0.78)
    assert len(told["slices"]) == 10


def test_a_picture_has_a_line_of_accuracy_and_of_cost_for_each_class(
    run: Run, config: Path, log: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "replay.svg"
    result = run("replay", config, log, "--requests", "500", "--plot", picture)
    assert result.exit_code == 0, result.output
    drawn = ElementTree.fromstring(picture.read_text())
    lines = [one for one in drawn if one.tag.endswith("polyline")]
    assert len(lines) == 3  # accuracy, its floor, and cost
    texts = [one.text for one in drawn if one.tag.endswith("text")]
    assert {"expected accuracy", "expected cost of a request", "all"} <= set(texts)


def test_a_picture_that_cannot_be_written_is_named(
    run: Run, config: Path, log: Path, tmp_path: Path
) -> None:
    result = run(
        "replay", config, log, "--requests", "100", "--plot", tmp_path / "nowhere" / "replay.svg"
    )
    assert result.exit_code == 1
    assert "replay.svg: it cannot be written" in result.stderr


def test_another_seed_tells_another_story(run: Run, config: Path, log: Path) -> None:
    once, other = (
        run("replay", config, log, "--requests", "500", "--json", "--seed", seed).stdout
        for seed in ("0", "1")
    )
    assert once != other


def test_what_befalls_a_model_parts_the_report(run: Run, config: Path, log: Path) -> None:
    events = ("--event", "20 middle gone", "--burst", "10 5 3")
    result = run("replay", config, log, "--requests", "1000", "--json", *events)
    told = json.loads(result.stdout)
    assert {stretch["begin_s"] for stretch in told["stretches"][::2]} == {0.0, 20.0}
    assert "middle" not in told["stretches"][-1]["classes"][0]["by_model"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--event", "20 middle"), "write SECONDS MODEL WHAT"),
        (("--event", "20 nobody gone"), "the configuration has the models small, middle, large"),
        (("--event", "20 middle price=0"), "gone, back, joins, price=FACTOR or as=MODEL"),
        (("--event", "20 middle as=nobody"), "the configuration has the models"),
        (("--burst", "5 x 2"), "write SECONDS LENGTH FACTOR"),
        (("--arrivals", "nowhere/trace.csv"), "there is no trace.csv"),
    ],
)
def test_what_cannot_be_replayed_is_said_with_what_would_be_right(
    run: Run, config: Path, log: Path, options: tuple[str, ...], says: str
) -> None:
    result = run("replay", config, log, *options)
    assert result.exit_code == 1
    assert says in result.stderr


def test_a_model_without_outcomes_is_named(run: Run, config: Path, log: Path) -> None:
    config.write_text(config.read_text().replace("name: large", "name: other"))
    result = run("replay", config, log)
    assert result.exit_code == 1
    assert "nothing was recorded of other" in result.stderr


def test_a_missing_log_is_named(run: Run, config: Path, tmp_path: Path) -> None:
    result = run("replay", config, tmp_path / "nothing")
    assert result.exit_code == 1
    assert "there is no queries.csv" in result.stderr


def test_the_access_log_of_a_service_is_replayed(run: Run, config: Path, tmp_path: Path) -> None:
    lines = [
        {
            "event": "request",
            "time": f"2025-12-01T02:{n // 60:02}:{n % 60:02}.000+00:00",
            "class": "all",
            "model": "small",
            "fate": "answered",
            "read_tokens": 100,
            "output_tokens": 50,
        }
        for n in range(200)
    ]
    log = tmp_path / "access"
    log.mkdir()
    (log / "worker-0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run("replay", config, log, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["requests"], told["guessed"]) == (200, 1.0)
