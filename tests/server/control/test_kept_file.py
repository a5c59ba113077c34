import json
import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.control.kept_file import (
    FileRefused,
    file_fault,
    read_or_set_aside,
    read_own,
    remove_unfinished,
    set_aside,
    write_whole,
)

US, THEM = 1_000, 1_001


def status(mode: int, owner: int = US) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, owner, 1, 0, 0, 0, 0))


def test_what_was_written_is_read_back_and_only_by_us(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert read_own(path, bytes_max=3) == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written_for_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    write_whole(tmp_path / "classifier.bin", b"new", mode=0o666)
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "classifier.bin").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "live.json").symlink_to(tmp_path / "elsewhere")
    write_whole(tmp_path / "live.json", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert read_own(tmp_path / "live.json", bytes_max=3) == b"new"


def test_what_a_crash_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "live.json", b"new")
    (tmp_path / "live.json.0011aabb.new").write_bytes(b"ne")
    (tmp_path / "a folder.new").mkdir()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"live.json", "a folder.new"}


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_own(tmp_path / "live.json", bytes_max=3)


def test_a_file_that_is_longer_than_we_write_is_refused(tmp_path: Path) -> None:
    write_whole(tmp_path / "live.json", b"news")
    with pytest.raises(FileRefused, match=r"live\.json has more than the 3 bytes"):
        read_own(tmp_path / "live.json", bytes_max=3)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o777])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "live.json"
    write_whole(path, b"new")
    path.chmod(mode)
    with pytest.raises(FileRefused, match=f"mode {mode:04o}.: chmod 600 {path}"):
        read_own(path, bytes_max=3)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ours_has_no_fault(mode: int) -> None:
    assert file_fault(status(stat.S_IFREG | mode), US) is None


def test_a_file_of_another_user_is_refused() -> None:
    fault = file_fault(status(stat.S_IFREG | 0o600, THEM), US)
    assert fault == "belongs to user 1001, and 1000 serves: chown 1000 {path}"


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "live.json", 0o600)
    with pytest.raises(FileRefused, match="is no file: remove it"):
        read_own(tmp_path / "live.json", bytes_max=3)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live.json").mkdir(mode=0o700)
    with pytest.raises(FileRefused, match="is no file"):
        read_own(tmp_path / "live.json", bytes_max=3)


def test_one_damaged_file_is_kept_of_each_name(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    for content in (b"first", b"second"):
        write_whole(path, content)
        set_aside(path)
    assert list(tmp_path.iterdir()) == [tmp_path / "live.json.damaged"]
    assert (tmp_path / "live.json.damaged").read_bytes() == b"second"


def test_a_damaged_file_that_cannot_be_set_aside_is_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_whole(path, b"{")
    (tmp_path / "live.json.damaged").mkdir()
    with capture_logs() as logs:
        assert read_or_set_aside(path, json.loads, bytes_max=9, lost="it is lost") is None
    assert [(log["event"], log["file"], log["set_aside"]) for log in logs] == [
        ("it is lost: the file is set aside", str(path), None)
    ]
    assert path.exists()
