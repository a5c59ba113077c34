"""What a service took down of its requests, as a replay reads it."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.replay.access_lines import is_access_log, read_access_log
from server.replay.log_files import LogInvalid
from server.replay.unasked import with_every_model, with_priors
from tests.server.routing.configs import model

Line = Mapping[str, Any]


def request(second: int, decision: str, model: str = "small", **more: Any) -> Line:
    return {
        "event": "request",
        "time": f"2025-12-01T02:00:{second:02}.500+00:00",
        "by": "infer",
        "decision": decision,
        "tenant": "acme",
        "class": "chat",
        "domain": "law",
        "read_tokens": 90,
        "model": model,
        "fate": "answered",
        "input_tokens": 70,
        "cached_input_tokens": 30,
        "output_tokens": 5,
        "reasoning_tokens": 2,
        "latency_s": 0.5,
        "cost_nano_usd": 2_000_000_000,
        **more,
    }


def grade(decision: str, quality: float, **more: Any) -> Line:
    time = "2025-12-01T02:01:00.000+00:00"
    return {"event": "report", "time": time, "decision": decision, "quality": quality, **more}


def write(folder: Path, name: str, *lines: Line) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path = folder / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return folder


def test_requests_of_all_files_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    write(tmp_path, "worker-0.jsonl", request(3, "d3"), request(7, "d7", "large"))
    write(tmp_path, "worker-1.jsonl.1.gz", request(1, "d1"))
    assert is_access_log(tmp_path)
    found = read_access_log(tmp_path).requests
    assert found.arrival_s is not None
    assert found.arrival_s.tolist() == [0.0, 2.0, 6.0]
    assert (found.traffic_classes, found.tenants) == (("chat",) * 3, ("acme",) * 3)
    assert (found.domains, found.input_tokens) == (("law",) * 3, (90,) * 3)


def test_what_an_answer_took_is_that_of_its_model_and_of_others_nothing_is_known(
    tmp_path: Path,
) -> None:
    found = read_access_log(write(tmp_path, "w.jsonl", request(1, "d1"), request(2, "d2", "large")))
    assert found.models == ("large", "small")
    assert np.isnan(found.output_tokens[0, 0])
    told = found.input_tokens, found.output_tokens, found.cost_usd, found.latency_s
    assert [float(table[0, 1]) for table in told] == [100, 7, 2.0, 0.5]
    assert np.isnan(found.score).all()


def test_of_several_attempts_only_the_one_that_answered_says_what_it_took(tmp_path: Path) -> None:
    attempts = [
        {"model": "small", "fate": "failed", "error": "UNAVAILABLE", "latency_s": 9.0},
        {"model": "large", "fate": "answered", "output_tokens": 3, "latency_s": 0.25},
    ]
    line = request(1, "d1", "large", attempts=attempts)
    found = read_access_log(write(tmp_path, "w.jsonl", line))
    assert found.latency_s[0, 0] == 0.25
    assert np.isnan(found.latency_s[0, 1])


def test_grades_are_those_of_reports_and_of_the_model_that_answered(tmp_path: Path) -> None:
    routed: dict[str, Any] = {"event": "request", "time": "2025-12-01T02:00:03+00:00"}
    routed |= {"by": "route", "decision": "d2", "class": "chat", "model": "small"}
    found = read_access_log(
        write(
            tmp_path,
            "w.jsonl",
            request(1, "d1"),
            routed,
            grade("d1", 1.0),
            grade("d2", 0.25, model="large", output_tokens=8, latency_s=2.0),
            grade("nobody's", 1.0),
            request(4, "d3", "large"),
        )
    )
    assert found.score[0, 1] == 1.0
    assert (found.score[1, 0], found.output_tokens[1, 0]) == (0.25, 8)
    assert np.isnan(found.score[2]).all()


def test_what_was_refused_unread_is_left_out_and_a_line_that_was_cut_short_too(
    tmp_path: Path,
) -> None:
    refused = {"event": "request", "fate": "refused", "reason": "CLASS_UNKNOWN"}
    left_out = {"event": "left out", "lines": 7}
    write(tmp_path, "w.jsonl", refused, left_out, request(1, "d1"))
    with (tmp_path / "w.jsonl").open("ab") as file:
        file.write(b'{"event": "requ')
    assert len(read_access_log(tmp_path).requests.ids) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON\n", "w.jsonl, line 1: it is no object of JSON"),
        ('{"event": "request", "class": "a", "time": "soon"}\n', "line 1: its time is none"),
        ("", "there is no line of a request"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "w.jsonl").write_text(text)
    with pytest.raises(LogInvalid, match=said):
        read_access_log(tmp_path)


def test_who_was_never_asked_is_as_its_prior_says_and_else_as_the_others(tmp_path: Path) -> None:
    models = [model("small", prior_accuracy=0.5), model("third", prior_accuracy=0.75)]
    write(tmp_path, "w.jsonl", request(1, "d1"), request(2, "d2"), grade("d1", 1.0))
    found = with_priors(with_every_model(read_access_log(tmp_path), models), models)
    assert found.models == ("small", "third")
    assert found.score[:, 1].tolist() == [0.75, 0.75]
    assert found.score[0, 0] == 1.0
    assert found.output_tokens[:, 1].tolist() == [7.0, 7.0]
