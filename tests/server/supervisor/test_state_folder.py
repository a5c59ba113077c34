import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.config.as_json import from_json, to_json
from server.config.live import updated
from server.config.schema import Config
from server.control.kept_config import START
from server.control.kept_file import write_whole
from server.control.key_file import read_key
from server.control.update_log import read_log
from server.routing.decision_id import KEY_BYTES
from server.supervisor.child import StartError
from server.supervisor.state_folder import StateFolder, folder_fault, own, refusal
from tests.server.control.told import service


@contextlib.contextmanager
def begun(folder: Path, config: Config) -> Iterator[StateFolder]:
    """A start that nothing stands against."""
    with own(folder, config) as state:
        state.begin()
        yield state


US, THEM = 1_000, 1_001
CONFIG = service()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some" / "state"


@pytest.fixture
def state(folder: Path) -> Iterator[StateFolder]:
    with begun(folder, CONFIG) as state:
        yield state


def refused(folder: Path, match: str) -> None:
    with pytest.raises(StartError, match=match), begun(folder, CONFIG):
        pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_a_folder_and_what_is_missing_above_it_are_made_for_us_alone(folder: Path) -> None:
    with begun(folder, CONFIG):
        assert mode(folder) == mode(folder.parent) == 0o700
        assert {path.name for path in folder.iterdir()} == {"lock", "decision.key", "live.json"}
        assert {mode(path) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("given", [0o755, 0o750, 0o701, 0o777, 0o500])
def test_a_folder_with_other_rights_is_refused_and_not_changed(folder: Path, given: int) -> None:
    folder.mkdir(parents=True)
    folder.chmod(given)
    refused(folder, f"has mode {given:04o}.*: chmod 700 {folder}")
    assert mode(folder) == given
    assert not list(folder.iterdir())


def test_a_folder_of_another_user_is_refused() -> None:
    status = os.stat_result((stat.S_IFDIR | 0o700, 1, 1, 1, THEM, 1, 0, 0, 0, 0))
    fault = folder_fault(status, US)
    assert fault is not None
    assert fault.startswith("belongs to user 1001, and 1000 serves: chown 1000 {folder}")


def test_a_link_is_followed_to_a_folder_that_is_ours_alone(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (tmp_path / "link").symlink_to(folder)
    with begun(tmp_path / "link", CONFIG):
        assert (folder / "decision.key").exists()


def test_a_link_to_a_folder_with_other_rights_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    (tmp_path / "link").symlink_to(folder)
    refused(tmp_path / "link", "has mode 0755")


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(tmp_path / "link", "cannot be made: No such file")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    refused(tmp_path / "state", "is no folder")
    refused(tmp_path / "state" / "below", "cannot be made: Not a directory")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lock", "lock cannot be locked: Is a directory: remove"),
        ("live.json", "live.json cannot be written: Is a directory: remove"),
        ("decision.key", "decision.key is no file: remove it"),
    ],
)
def test_a_folder_in_the_place_of_a_file_is_named(folder: Path, name: str, words: str) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (folder / name).mkdir()
    refused(folder, words)


@pytest.mark.parametrize(
    ("code", "do"),
    [
        (errno.ENOSPC, "No space left on device: make room on its disk"),
        (errno.EROFS, "Read-only file system: mount its file system for writing"),
        (errno.EACCES, "Permission denied: give the user that serves the right to"),
        (errno.EIO, "Input/output error: see why /srv/state does not allow it"),
    ],
)
def test_what_the_disk_refuses_is_said_with_what_to_do(code: int, do: str) -> None:
    said = str(refusal(Path("/srv/state/live.json"), OSError(code, os.strerror(code))))
    assert said == (f"/srv/state/live.json cannot be written: {do}, or name another state_dir")


@pytest.mark.usefixtures("state")
def test_a_second_instance_is_refused(folder: Path) -> None:
    refused(folder, r"another Turnout \(process \d+\) runs from the state folder")


def test_the_key_outlasts_a_start(folder: Path) -> None:
    with begun(folder, CONFIG):
        key = read_key(folder / "decision.key")
    with begun(folder, CONFIG):
        assert read_key(folder / "decision.key") == key


@pytest.mark.parametrize("length", [0, KEY_BYTES - 1])
def test_a_key_that_was_cut_off_starts_nothing(folder: Path, length: int) -> None:
    """As a crash between making and writing left it: with an empty key ids could be forged."""
    with begun(folder, CONFIG):
        pass
    write_whole(folder / "decision.key", bytes(length))
    refused(folder, f"decision.key holds {length} bytes, not the 32 of a key: restore it")


def test_a_key_that_others_can_read_starts_nothing(folder: Path) -> None:
    with begun(folder, CONFIG):
        pass
    (folder / "decision.key").chmod(0o640)
    refused(folder, "decision.key is open to other users .mode 0640.: chmod 600")


def test_a_start_begins_with_the_files_configuration(folder: Path) -> None:
    with begun(folder, service(window_s=1.0)):
        pass
    with begun(folder, CONFIG):
        assert from_json((folder / "live.json").read_bytes()) == CONFIG


def test_live_updates_outlast_a_restart_of_the_control_plane(
    state: StateFolder, folder: Path
) -> None:
    updated = to_json(service(window_s=1.0))
    write_whole(folder / "live.json", updated)
    state.prepare()
    assert (folder / "live.json").read_bytes() == updated


DAMAGED = {
    "empty": b"",
    "half": to_json(CONFIG)[:-9],
    "deep": b'{"models":' + b"[" * 100_000,
    "another": b'{"models": 1}',
    "not UTF-8": b'{"\xff": 1}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_live_configuration_is_set_aside_for_that_of_the_start(
    state: StateFolder, folder: Path, content: bytes
) -> None:
    write_whole(folder / "live.json", content)
    with capture_logs() as logs:
        state.prepare()
    assert from_json((folder / "live.json").read_bytes()) == CONFIG
    assert (folder / "live.json.damaged").read_bytes() == content
    assert [(log["log_level"], log["file"]) for log in logs] == [
        ("error", str(folder / "live.json"))
    ]


def test_a_live_configuration_that_others_could_write_is_not_believed(
    state: StateFolder, folder: Path
) -> None:
    (folder / "live.json").chmod(0o666)
    state.prepare()
    assert mode(folder / "live.json") == 0o600
    assert (folder / "live.json.damaged").exists()


def test_a_folder_that_was_removed_is_made_again_with_the_same_key(
    state: StateFolder, folder: Path
) -> None:
    key = read_key(folder / "decision.key")
    folder.rename(folder.with_name("away"))
    assert state.missing() == [str(folder)]
    state.restore()
    assert state.missing() == []
    assert read_key(folder / "decision.key") == key
    refused(folder, r"another Turnout \(process \d+\) runs")


def test_a_key_that_was_removed_is_written_again(state: StateFolder, folder: Path) -> None:
    key = read_key(folder / "decision.key")
    (folder / "decision.key").unlink()
    assert state.missing() == [str(folder / "decision.key")]
    state.restore()
    assert read_key(folder / "decision.key") == key


def test_a_key_that_was_replaced_while_it_is_in_use_is_put_back_and_named(
    state: StateFolder, folder: Path
) -> None:
    key = read_key(folder / "decision.key")
    (folder / "decision.key").write_bytes(bytes(len(key)))
    with capture_logs() as logs:
        state.restore()
    assert read_key(folder / "decision.key") == key
    assert [log["file"] for log in logs] == [str(folder / "decision.key")]


def test_a_folder_that_another_instance_took_meanwhile_is_left_to_it(
    state: StateFolder, folder: Path
) -> None:
    folder.rename(folder.with_name("away"))
    with begun(folder, CONFIG):
        assert state.missing()
        with pytest.raises(StartError, match=r"another Turnout \(process \d+\) runs"):
            state.restore()


def test_what_a_crash_left_half_written_is_removed(folder: Path) -> None:
    with begun(folder, CONFIG):
        pass
    (folder / "live.json.0011aabb.new").write_bytes(b"{")
    with begun(folder, CONFIG):
        assert not list(folder.glob("*.new"))


def test_a_start_that_undoes_live_updates_says_so_among_them(folder: Path) -> None:
    with begun(folder, CONFIG):
        live = updated(CONFIG, "budgets", "team", {"amount_usd": 12.0})
        write_whole(folder / "live.json", to_json(live))
    with begun(folder, CONFIG):
        (update,) = read_log(folder / "updates.jsonl").newest_first()
    assert update.author == START
    assert update.changes[0].before == "12.0"
    assert from_json((folder / "live.json").read_bytes()) == CONFIG


def test_a_start_that_is_refused_is_no_update_and_leaves_what_held(folder: Path) -> None:
    live = updated(CONFIG, "budgets", "team", {"amount_usd": 12.0})
    with begun(folder, CONFIG):
        write_whole(folder / "live.json", to_json(live))
    with own(folder, CONFIG):  # and then a port is taken
        pass
    assert not (folder / "updates.jsonl").exists()
    assert from_json((folder / "live.json").read_bytes()) == live


def test_updates_that_cannot_be_kept_start_nothing(folder: Path) -> None:
    with begun(folder, CONFIG):
        live = updated(CONFIG, "budgets", "team", {"amount_usd": 12.0})
        write_whole(folder / "live.json", to_json(live))
    (folder / "updates.jsonl").mkdir()
    (folder / "updates.jsonl" / "x").touch()
    (folder / "updates.jsonl.damaged").touch()  # so that it cannot be set aside
    refused(folder, f"{folder}/updates.jsonl cannot be written: Is a directory")
