from pathlib import Path

from server.telemetry.line_files import LogFiles


def test_lines_are_appended_for_the_user_of_the_service_alone(tmp_path: Path) -> None:
    for line in (b"1\n", b"2\n"):
        LogFiles(tmp_path, "worker-0").write([line, b"x\n"])
    path = tmp_path / "worker-0.jsonl"
    assert path.read_bytes() == b"1\nx\n2\nx\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_file_makes_room_for_another_and_the_oldest_goes(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "worker-0", bytes_max=4, files_max=3)
    for number in range(5):
        files.write([b"%d000\n" % number])
    found = {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()}
    assert found == {"worker-0.jsonl.1": b"4", "worker-0.jsonl.2": b"3"}


def test_whoever_moves_a_file_away_need_tell_nobody(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, "worker-0")
    files.write([b"1\n"])
    (tmp_path / "worker-0.jsonl").rename(tmp_path / "moved")
    files.write([b"2\n"])
    assert (tmp_path / "worker-0.jsonl").read_bytes() == b"2\n"
