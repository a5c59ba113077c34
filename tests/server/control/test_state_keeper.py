"""What was learned is on the disk once a window, and what is not ours is set aside."""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.control.kept_file import write_whole
from server.control.state_file import FILE_NAME, Kept, StateInvalid, unpacked
from server.control.state_keeper import StateKeeper


def keeper(folder: Path) -> StateKeeper:
    return StateKeeper(folder / FILE_NAME)


def restored(folder: Path) -> list[Kept]:
    """What is taken up."""
    kept: list[Kept] = []
    keeper(folder).restore(kept.append)
    return kept


async def keep(keeper: StateKeeper, value: int, now_s: float = 7.0) -> None:
    keeper.take({"a": {"b": value}}, now_s=now_s)
    await keeper.write()


async def test_what_was_kept_is_taken_up_at_the_next_start(tmp_path: Path) -> None:
    await keep(keeper(tmp_path), 1)
    (kept,) = restored(tmp_path)
    assert (kept.written_s, kept.plain) == (7.0, {"a": {"b": 1}})


def test_where_nothing_was_kept_nothing_is_taken_up_or_said(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert restored(tmp_path) == []
    assert logs == []


async def test_of_what_comes_while_it_writes_the_newest_is_written(tmp_path: Path) -> None:
    one = keeper(tmp_path)
    running = asyncio.create_task(one.run())
    for value in range(1_000):
        one.take({"a": {"b": value}}, now_s=7.0)
        await asyncio.sleep(0)
    await one.write()
    running.cancel()
    assert restored(tmp_path)[0].plain == {"a": {"b": 999}}


class Held:
    """A long list, which goes on when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[int]:
        self.begun.set()
        assert self.go.wait(20.0)
        return iter([1])


async def test_what_is_taken_at_a_stop_is_written_after_what_is_being_written(
    tmp_path: Path,
) -> None:
    one, held = keeper(tmp_path), Held()
    one.take({"a": {"b": held}}, now_s=7.0)
    running = asyncio.create_task(one.run())
    await asyncio.to_thread(held.begun.wait, 20.0)
    running.cancel()
    last = asyncio.create_task(keep(one, 2, now_s=8.0))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not running.done()  # its thread still writes
    held.go.set()
    await asyncio.wait((running, last))
    assert restored(tmp_path)[0].written_s == 8.0


async def test_what_is_on_the_disk_as_it_is_is_not_written_again(tmp_path: Path) -> None:
    one = keeper(tmp_path)
    await keep(one, 1)
    first = (tmp_path / FILE_NAME).stat().st_ino
    await keep(one, 1, now_s=8.0)
    assert (tmp_path / FILE_NAME).stat().st_ino == first
    await keep(one, 2, now_s=9.0)
    assert unpacked((tmp_path / FILE_NAME).read_bytes()).written_s == 9.0


async def test_a_file_that_was_removed_is_written_again(tmp_path: Path) -> None:
    one = keeper(tmp_path)
    await keep(one, 1)
    (tmp_path / FILE_NAME).unlink()
    await keep(one, 1)
    assert restored(tmp_path)[0].plain == {"a": {"b": 1}}


async def test_a_disk_that_takes_nothing_is_told_and_tried_again(tmp_path: Path) -> None:
    one = keeper(tmp_path / "gone")
    with capture_logs() as logs:
        await keep(one, 1)
        (tmp_path / "gone").mkdir()
        await keep(one, 1)
    assert [log["event"] for log in logs] == ["what was learned cannot be kept"]
    assert restored(tmp_path / "gone")[0].plain == {"a": {"b": 1}}


NEWER = gzip.compress(json.dumps({"turnout_state": 2, "written_s": 1}).encode() + b"\n")
NOT_OURS = {
    "empty": (b"", "ends too early"),
    "no gzip": (b"{}", "no gzip of ours"),
    "another's": (2 * gzip.compress(b"[1, 2]\n"), "not Turnout's"),
    "of a newer version": (NEWER + gzip.compress(b""), "its schema is 2, this Turnout has 1"),
}


@pytest.mark.parametrize(("content", "why"), NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_not_ours_is_named_and_set_aside(tmp_path: Path, content: bytes, why: str) -> None:
    write_whole(tmp_path / FILE_NAME, content)
    with capture_logs() as logs:
        assert restored(tmp_path) == []
    (log,) = logs
    assert log["event"] == "what was learned is lost, it is learned anew: the file is set aside"
    assert why in log["error"]
    assert log["set_aside"] == str(tmp_path / f"{FILE_NAME}.damaged")
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == content
    assert not (tmp_path / FILE_NAME).exists()


async def test_what_cannot_be_taken_up_is_set_aside_too(tmp_path: Path) -> None:
    await keep(keeper(tmp_path), 1)

    def refuse(kept: Kept) -> None:
        raise StateInvalid("it holds something else")

    with capture_logs() as logs:
        assert not keeper(tmp_path).restore(refuse)
    assert logs[0]["error"] == "it holds something else"
    assert (tmp_path / f"{FILE_NAME}.damaged").exists()


async def test_a_file_that_others_could_write_is_not_believed(tmp_path: Path) -> None:
    await keep(keeper(tmp_path), 1)
    (tmp_path / FILE_NAME).chmod(0o666)
    with capture_logs():
        assert restored(tmp_path) == []
