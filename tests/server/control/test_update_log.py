from pathlib import Path

import pytest

from server.config.changes import SHOWN_CHARS_MAX, Change
from server.control.kept_file import write_whole
from server.control.messages import update_message
from server.control.update_log import (
    CHANGES_KEPT_MAX,
    LOG_BYTES_MAX,
    Author,
    Update,
    UpdateLog,
    read_log,
)
from turnout.v1 import admin_pb2 as pb

AUTHOR = Author("uid 1000", "anna")
CHEAPER = Change("budgets.team.amount_usd", "20.0", "12.0", "budgets.team.amount_usd: 20.0 -> 12.0")


def update(time_s: float, *changes: Change) -> Update:
    return Update.of(changes or (CHEAPER,), AUTHOR, now_s=time_s)


def logged(*updates: Update) -> UpdateLog:
    log = UpdateLog()
    for one in updates:
        log = log.with_update(one)
    return log


def largest(time_s: float) -> Update:
    """Names and values as long as they can be, of characters that take four bytes."""
    value = "\N{GRINNING FACE}" * SHOWN_CHARS_MAX + "..."
    path = "x" * 120
    return update(
        time_s, *[Change(path, value, value, f"{path}: {value} -> {value}")] * CHANGES_KEPT_MAX
    )


def test_the_newest_update_comes_first() -> None:
    log = logged(update(1.0), update(2.0))
    assert [one.time_s for one in log.newest_first()] == [2.0, 1.0]


def test_what_is_written_is_read_again() -> None:
    log = logged(update(1.0), update(2.0))
    assert UpdateLog.from_bytes(log.to_bytes()) == log


def test_the_oldest_updates_go_where_the_log_is_full() -> None:
    size_bytes = len(logged(update(0.0)).to_bytes())
    log = logged(*(update(float(i)) for i in range(LOG_BYTES_MAX // size_bytes + 100)))
    kept = [one.time_s for one in reversed(log.newest_first())]
    assert LOG_BYTES_MAX - 2 * size_bytes < len(log.to_bytes()) <= LOG_BYTES_MAX
    assert kept[-1] == LOG_BYTES_MAX // size_bytes + 99
    assert kept == [kept[0] + i for i in range(len(kept))]


def test_the_largest_update_is_kept() -> None:
    log = logged(update(1.0), largest(2.0), largest(3.0))
    assert [one.time_s for one in log.newest_first()] == [3.0]
    assert len(log.to_bytes()) <= LOG_BYTES_MAX


def test_of_more_changes_than_are_kept_the_rest_is_counted() -> None:
    found = update(1.0, *[CHEAPER] * (CHANGES_KEPT_MAX + 3))
    assert (len(found.changes), found.left_out) == (CHANGES_KEPT_MAX, 3)


def test_without_a_file_there_was_no_update(tmp_path: Path) -> None:
    assert read_log(tmp_path / "updates.jsonl").newest_first() == []


@pytest.mark.parametrize("one", [update(1.0), largest(1.0)], ids=["small", "largest"])
def test_a_full_log_fits_in_a_message_of_grpc(one: Update) -> None:
    log = UpdateLog()
    size_bytes = len(log.with_update(one).to_bytes())
    for _ in range(LOG_BYTES_MAX // size_bytes):
        log = log.with_update(one)
    response = pb.ListUpdatesResponse(updates=map(update_message, log.newest_first()))
    assert LOG_BYTES_MAX / 3 < response.ByteSize() < 4 * 2**20


@pytest.mark.parametrize("content", [b"{", b"[]\n", b"\xff\n", b"x" * (LOG_BYTES_MAX + 1)])
def test_a_file_that_is_not_ours_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "updates.jsonl"
    write_whole(path, content)
    assert read_log(path).newest_first() == []
    assert (tmp_path / "updates.jsonl.damaged").read_bytes() == content
    assert not path.exists()
