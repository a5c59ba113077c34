import os
from pathlib import Path

import pytest

from server.control.kept_requests import (
    EARLY_MAX,
    LINE_CHARS_MAX,
    REPORTS_MAX,
    WAITING_MAX,
    KeptRequest,
    KeptRequests,
    kept_ids,
    read_kept,
)
from server.routing.decision_id import DECISION_ID_CHARS_MAX


def add(kept: KeptRequests, number: int) -> None:
    kept.add(str(number), f"text {number}", domain="law", intent="")


def test_what_was_written_is_read_with_what_was_reported(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    kept.add("a", "wie groß?", domain="law", intent="sue")
    kept.add("b", "how much", domain="other", intent="")
    kept.report("a", domain="math")
    kept.report("a", intent="add")
    kept.writing()()
    assert read_kept(tmp_path) == [
        KeptRequest("wie groß?", "law", "sue", true_domain="math", true_intent="add"),
        KeptRequest("how much", "other", ""),
    ]


def test_what_comes_while_others_are_written_waits_for_the_next_writing(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    kept.add("1", "one", domain="a", intent="")
    write = kept.writing()
    kept.add("2", "two", domain="a", intent="")
    kept.configure(1)
    write()
    assert [request.text for request in read_kept(tmp_path)] == ["one"]
    kept.writing()()
    assert [request.text for request in read_kept(tmp_path)] == ["one", "two"]


def test_a_report_may_come_before_its_text(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    kept.report("a", domain="math")
    kept.add("a", "how much", domain="law", intent="")
    kept.writing()()
    assert read_kept(tmp_path) == [KeptRequest("how much", "law", "", true_domain="math")]


def test_nothing_is_kept_by_default(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 0)
    add(kept, 1)
    kept.writing()()
    assert list(tmp_path.iterdir()) == []
    assert read_kept(tmp_path) == []


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 1)
    for number in range(2):
        add(kept, number)
        kept.writing()()
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600] * 2


def test_the_newest_are_kept_and_at_most_twice_as_many_as_asked_for(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    for number in range(95):
        add(kept, number)
        kept.writing()()
    texts = [request.text for request in read_kept(tmp_path)]
    assert texts == [f"text {number}" for number in range(80, 95)]


def test_of_more_than_fit_at_once_the_newest_are_kept(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 3)
    for number in range(20):
        add(kept, number)
    kept.writing()()
    assert [request.text for request in read_kept(tmp_path)] == ["text 17", "text 18", "text 19"]


def test_no_more_than_so_many_wait(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 100_000)
    for number in range(WAITING_MAX + 5):
        add(kept, number)
    kept.writing()()
    assert len(read_kept(tmp_path)) == WAITING_MAX


def test_a_new_start_goes_on_with_the_file(tmp_path: Path) -> None:
    for number in range(5):
        kept = KeptRequests(tmp_path, 2)
        add(kept, number)
        kept.writing()()
    assert [request.text for request in read_kept(tmp_path)] == ["text 2", "text 3", "text 4"]
    assert len((tmp_path / "requests.jsonl").read_text().splitlines()) == 1


def test_what_was_kept_is_removed_where_nothing_is_to_be_kept(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 2)
    add(kept, 1)
    kept.writing()()
    kept.configure(0)
    kept.writing()()
    assert list(tmp_path.iterdir()) == []


def test_of_what_was_kept_a_start_that_keeps_fewer_leaves_twice_as_many(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    for number in range(20):
        add(kept, number)
        kept.writing()()
    KeptRequests(tmp_path, 2).writing()()
    texts = [request.text for request in read_kept(tmp_path)]
    assert texts == ["text 8", "text 9", "text 18", "text 19"]


def test_reports_without_their_text_push_nothing_out(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 2)
    add(kept, 1)
    for number in range(EARLY_MAX + 10):
        kept.report(f"gone {number}", domain="law")
        kept.writing()()
    assert read_kept(tmp_path) == [KeptRequest("text 1", "law", "")]
    assert len((tmp_path / "requests.jsonl").read_text().splitlines()) == 1


def test_of_reports_without_their_text_the_newest_wait(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    for number in range(EARLY_MAX + 1):
        kept.report(str(number), domain="math")
    for number in (0, EARLY_MAX):
        add(kept, number)
    kept.writing()()
    assert [request.true_domain for request in read_kept(tmp_path)] == ["", "math"]


def test_reports_on_one_text_are_few(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 100)
    add(kept, 1)
    for number in range(10):
        kept.report("1", domain=f"d{number}")
    kept.writing()()
    assert read_kept(tmp_path)[0].true_domain == f"d{REPORTS_MAX - 1}"


def test_reports_on_the_newest_texts_alone_are_kept(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 2)
    for number in range(3):
        add(kept, number)
        kept.writing()()
    for number in range(3):
        kept.report(str(number), domain="math")
    kept.writing()()
    assert '"0", "true_domain"' not in (tmp_path / "requests.jsonl").read_text()


def test_a_report_on_a_text_from_before_this_start_is_kept(tmp_path: Path) -> None:
    before = KeptRequests(tmp_path, 10)
    add(before, 1)
    add(before, 2)
    before.writing()()
    kept = KeptRequests(tmp_path, 10)
    kept.report("1", domain="math")
    kept.know(kept_ids(tmp_path))
    kept.report("2", domain="art")
    kept.writing()()
    assert [request.true_domain for request in read_kept(tmp_path)] == ["math", "art"]


def test_where_fewer_are_to_be_kept_the_rest_is_removed(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    for number in range(20):
        add(kept, number)
        kept.writing()()
    kept.configure(3)
    kept.writing()()
    texts = [request.text for request in read_kept(tmp_path)]
    assert texts == [f"text {number}" for number in (7, 8, 9, 17, 18, 19)]


def test_a_report_on_a_text_that_was_removed_is_not_kept(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 2)
    add(kept, 1)
    kept.report("early", domain="math")
    kept.writing()()
    kept.configure(0)
    kept.writing()()
    kept.configure(2)
    kept.report("1", domain="math")
    kept.add("early", "text", domain="law", intent="")
    kept.writing()()
    assert read_kept(tmp_path) == [KeptRequest("text", "law", "")]
    assert len((tmp_path / "requests.jsonl").read_text().splitlines()) == 1


DEEP = "[" * 4_000


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "1",
        '{"text": "a"}',
        '{"id": "a", "text": "b"}',
        '{"id": "a", "text": 1, "domain": "law", "intent": ""}',
        '{"id": [], "text": "b", "domain": "law", "intent": ""}',
        DEEP,
        '{"id": "a", "text": ' + DEEP,
    ],
)
def test_a_line_that_was_cut_off_is_nothing(tmp_path: Path, line: str) -> None:
    (tmp_path / "requests.jsonl").write_text(f"{line}\n")
    assert read_kept(tmp_path) == []
    assert [one for one in kept_ids(tmp_path) if one != "a"] == []


def test_a_line_that_is_longer_than_we_write_is_nothing_and_takes_no_memory(tmp_path: Path) -> None:
    fields = f'"text": "{"a" * LINE_CHARS_MAX}", "domain": "law", "intent": ""'
    line = f'{{"id": "long", {fields}}}\n'
    (tmp_path / "requests.jsonl").write_text(line + line.replace("a" * LINE_CHARS_MAX, "b"))
    assert [request.text for request in read_kept(tmp_path)] == ["b"]


def test_the_longest_line_that_we_write_is_read(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    kept.add("i" * DECISION_ID_CHARS_MAX, "\0" * 512, domain="d" * 63, intent="i" * 63)
    kept.writing()()
    assert [request.text for request in read_kept(tmp_path)] == ["\0" * 512]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "requests.jsonl", 0o600)
    assert (read_kept(tmp_path), kept_ids(tmp_path)) == ([], [])


def test_what_others_could_have_written_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text('{"id": "a", "text": "b", "domain": "law", "intent": ""}\n')
    file.chmod(0o666)
    kept = KeptRequests(tmp_path, 10)
    add(kept, 1)
    kept.writing()()
    assert [request.text for request in read_kept(tmp_path)] == ["text 1"]
    assert (tmp_path / "requests.jsonl.damaged").exists()
