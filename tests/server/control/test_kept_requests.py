from pathlib import Path

import pytest

from server.control.kept_requests import WAITING_MAX, KeptRequest, KeptRequests, read_kept


def add(kept: KeptRequests, number: int) -> None:
    kept.add(id=str(number), text=f"text {number}", domain="law", intent="")


def test_what_was_written_is_read_with_what_was_reported(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    kept.add(id="a", text="wie groß?", domain="law", intent="sue")
    kept.add(id="b", text="how much", domain="other", intent="")
    kept.add(id="a", true_domain="math")
    kept.add(id="a", quality=0.5)
    kept.write()
    assert read_kept(tmp_path) == [
        KeptRequest("wie groß?", "law", "sue", true_domain="math", quality=0.5),
        KeptRequest("how much", "other", ""),
    ]


def test_a_report_may_come_before_its_text(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    kept.add(id="a", true_domain="math")
    kept.add(id="a", text="how much", domain="law", intent="")
    kept.write()
    assert read_kept(tmp_path) == [KeptRequest("how much", "law", "", true_domain="math")]


def test_nothing_is_kept_by_default(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 0)
    add(kept, 1)
    kept.write()
    assert list(tmp_path.iterdir()) == []
    assert read_kept(tmp_path) == []


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 1)
    for number in range(2):
        add(kept, number)
        kept.write()
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600] * 2


def test_the_newest_are_kept_and_at_most_twice_as_many_as_asked_for(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 10)
    for number in range(95):
        add(kept, number)
        kept.write()
    texts = [request.text for request in read_kept(tmp_path)]
    assert texts == [f"text {number}" for number in range(80, 95)]


def test_of_more_than_fit_at_once_the_newest_are_kept(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 3)
    for number in range(20):
        add(kept, number)
    kept.write()
    assert [request.text for request in read_kept(tmp_path)] == ["text 17", "text 18", "text 19"]


def test_no_more_than_so_many_wait(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 100_000)
    for number in range(WAITING_MAX + 5):
        add(kept, number)
    kept.write()
    assert len(read_kept(tmp_path)) == WAITING_MAX


def test_a_new_start_goes_on_with_the_file(tmp_path: Path) -> None:
    for number in range(5):
        kept = KeptRequests(tmp_path, 2)
        add(kept, number)
        kept.write()
    assert [request.text for request in read_kept(tmp_path)] == ["text 2", "text 3", "text 4"]


def test_what_was_kept_is_removed_where_nothing_is_to_be_kept(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 2)
    add(kept, 1)
    kept.write()
    kept.configure(0)
    kept.write()
    assert list(tmp_path.iterdir()) == []


def test_a_report_without_its_text_is_nothing(tmp_path: Path) -> None:
    kept = KeptRequests(tmp_path, 2)
    kept.add(id="gone", true_domain="law")
    kept.write()
    assert read_kept(tmp_path) == []


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '{"text": "a"}', '{"id": "a", "text": "b"}'])
def test_a_line_that_was_cut_off_is_nothing(tmp_path: Path, line: str) -> None:
    (tmp_path / "requests.jsonl").write_text(f"{line}\n")
    assert read_kept(tmp_path) == []
