"""A log is read whole, or refused with the place and what would be right."""

from pathlib import Path

import numpy as np
import pytest

from server.replay.log_files import LogInvalid, read_arrivals, read_log
from tests.server.replay.files import write_log
from tests.server.replay.recorded import DOMAINS, MODELS, recording

QUERIES = "query_id,subject,prompt,tenant,traffic_class,arrival_s,input_tokens\n"
QUERY = 'a,Computer Science,"Why, then?",t1,chat,0.5,7\n'
OUTCOMES = "query_id,model,score,output_tokens,cost_usd,latency_s\n"
OUTCOME = "a,Org/Big-Model.2,1,20,0.002,1.5\n"


def log(folder: Path, queries: str, outcomes: str) -> Path:
    (folder / "queries.csv").write_text(queries)
    (folder / "outcomes.csv").write_text(outcomes)
    return folder


@pytest.mark.parametrize("compressed", [False, True])
def test_what_was_written_is_read(tmp_path: Path, compressed: bool) -> None:
    written = recording()
    read = read_log(write_log(tmp_path / "log", written, compressed=compressed))
    order = [read.models.index(model) for model in MODELS]
    assert (read.score[:, order] == written.score).all()
    assert set(read.requests.domains) == set(DOMAINS)
    assert read.requests.input_tokens[:2] == (100, 100)
    assert np.isnan(read.latency_s).all()


def test_names_are_those_that_a_configuration_can_have(tmp_path: Path) -> None:
    read = read_log(log(tmp_path, QUERIES + QUERY, OUTCOMES + OUTCOME))
    assert read.models == ("org-big-model.2",)
    assert read.requests.domains == ("computer-science",)
    assert read.requests.texts == ("Why, then?",)
    assert (read.requests.tenants, read.requests.traffic_classes) == (("t1",), ("chat",))
    assert read.requests.arrival_s is not None
    assert read.requests.arrival_s.tolist() == [0.5]
    assert (read.cost_usd.item(), read.latency_s.item()) == (0.002, 1.5)


def test_a_blank_score_is_no_right_answer_and_other_blanks_are_unknown(tmp_path: Path) -> None:
    read = read_log(log(tmp_path, QUERIES + QUERY, OUTCOMES + "a,m,,,,\n"))
    assert read.score.item() == 0.0
    assert np.isnan(read.output_tokens).all()


@pytest.mark.parametrize(
    ("queries", "outcomes", "says"),
    [
        ("id\na\n", OUTCOMES, "queries.csv: there is no column query_id"),
        (QUERIES + QUERY + QUERY, OUTCOMES, "a query_id comes twice"),
        (QUERIES + QUERY, "query_id,model\na,m\n", "outcomes.csv: there is no column score"),
        (QUERIES + QUERY, OUTCOMES + "b,m,1,,,\n", "record 2: query_id 'b' is not in queries.csv"),
        (QUERIES + QUERY, OUTCOMES + "a,m,1.5,,,\n", "a score is above 1"),
        (QUERIES + QUERY, OUTCOMES + "a,m,x,,,\n", "record 2: score is 'x': give a number from 0"),
        (QUERIES + QUERY, OUTCOMES + "a,m,1,-3,,\n", "output_tokens is '-3'"),
        (QUERIES + QUERY, OUTCOMES + "a,m,1,inf,,\n", "output_tokens is 'inf'"),
        (QUERIES + QUERY, OUTCOMES + "a,m,1\n", "record 2: it has 3 fields, and the head has 6"),
        (QUERIES + QUERY, OUTCOMES + "a,M,1,,,\na,m,1,,,\n", "two models would have one name"),
        (QUERIES + QUERY.replace("0.5", ""), OUTCOMES, "record 2: arrival_s has to be there"),
        ("", OUTCOMES, "queries.csv: it cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, queries: str, outcomes: str, says: str
) -> None:
    with pytest.raises(LogInvalid) as refused:
        read_log(log(tmp_path, queries, outcomes))
    assert says in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_folder_without_a_log_is_refused_with_the_page_that_helps(tmp_path: Path) -> None:
    with pytest.raises(LogInvalid, match=r"there is no queries.csv or queries.csv.gz: see docs"):
        read_log(tmp_path)


def test_a_file_that_only_seems_to_be_compressed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queries.csv.gz").write_text(QUERIES)
    with pytest.raises(LogInvalid, match="cannot be read"):
        read_log(tmp_path)


def test_arrivals_are_read_and_have_to_rise(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("arrival_s,input_tokens\n0,5\n1.5,5\n")
    assert read_arrivals(file).tolist() == [0.0, 1.5]
    file.write_text("arrival_s\n2\n1\n")
    with pytest.raises(LogInvalid, match="record 3: arrival_s"):
        read_arrivals(file)
    file.write_text("at\n2\n")
    with pytest.raises(LogInvalid, match="a column arrival_s"):
        read_arrivals(file)
