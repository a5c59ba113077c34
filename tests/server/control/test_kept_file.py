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


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_whole(path, b"old")
    (tmp_path / "live.json.new").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
