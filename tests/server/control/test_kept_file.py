import os
import stat
from pathlib import Path

import pytest

from server.control.kept_file import write_whole


def test_what_was_written_is_read_back_and_only_by_us(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written_for_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    write_whole(tmp_path / "classifier.bin", b"new", mode=0o666)
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "classifier.bin").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_whole(path, b"old")
    (tmp_path / "live.json.new").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
