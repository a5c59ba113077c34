import stat
from pathlib import Path

import pytest

from server.control.kept_file import FileRefused, write_whole
from server.control.key_file import make_key, read_key
from server.routing.decision_id import KEY_BYTES


def test_a_key_is_made_once_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "decision.key"
    made = make_key(path)
    assert make_key(path) == read_key(path) == made
    assert len(set(made)) > 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("length", [0, 1, KEY_BYTES - 1])
def test_a_key_that_was_cut_off_is_refused_and_left_as_it_is(tmp_path: Path, length: int) -> None:
    path = tmp_path / "decision.key"
    write_whole(path, bytes(length))
    with pytest.raises(FileRefused, match=f"decision.key holds {length} bytes, not the 32"):
        make_key(path)
    assert path.read_bytes() == bytes(length)


def test_a_key_that_is_too_long_is_refused(tmp_path: Path) -> None:
    write_whole(tmp_path / "decision.key", bytes(KEY_BYTES + 1))
    with pytest.raises(FileRefused, match="more than the 32 bytes"):
        make_key(tmp_path / "decision.key")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "decision.key"
    make_key(path)
    path.chmod(0o644)
    with pytest.raises(FileRefused, match="open to other users"):
        make_key(path)


def test_a_key_that_is_missing_is_refused_by_who_only_reads_it(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="is missing"):
        read_key(tmp_path / "decision.key")
