from pathlib import Path

from structlog.testing import capture_logs

from server.app.settings import Settings
from server.supervisor.child import Child
from server.supervisor.folder_watch import FolderWatch
from server.supervisor.state_folder import own
from tests.server.control.told import service

CONFIG = service()


def not_started(folder: Path, data_address: str = "") -> Child:
    settings = Settings(name="a", state_dir=folder, data_address=data_address, admin_address="")
    return Child("platform", settings, silent_s_max=60)


async def test_nothing_is_said_of_a_folder_that_is_whole(tmp_path: Path) -> None:
    with own(tmp_path / "state", CONFIG) as state, capture_logs() as logs:
        await FolderWatch(state, not_started(tmp_path / "state")).look()
    assert logs == []


async def test_what_was_removed_is_made_again_and_named(tmp_path: Path) -> None:
    key = tmp_path / "state" / "decision.key"
    with own(tmp_path / "state", CONFIG) as state, capture_logs() as logs:
        key.unlink()
        await FolderWatch(state, not_started(tmp_path / "state")).look()
        assert key.exists()
    assert [log["removed"] for log in logs] == [[str(key)]]


async def test_a_folder_that_another_took_is_named_once_and_left_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with own(folder, CONFIG) as state, capture_logs() as logs:
        watch = FolderWatch(state, not_started(folder))
        folder.rename(tmp_path / "away")
        with own(folder, CONFIG):
            await watch.look()
            await watch.look()
        assert len(logs) == 1
        assert "another Turnout (process" in logs[0]["error"]
        await watch.look()
    key_is_back, made_again = logs[1:]
    assert key_is_back["file"] == str(folder / "decision.key")
    assert made_again["removed"] == [str(folder)]


async def test_a_data_socket_that_was_removed_is_named_once(tmp_path: Path) -> None:
    socket = tmp_path / "data.sock"
    with own(tmp_path / "state", CONFIG) as state, capture_logs() as logs:
        watch = FolderWatch(state, not_started(tmp_path / "state", f"unix:{socket}"))
        socket.touch()
        await watch.look()
        assert logs == []
        socket.unlink()
        await watch.look()
        await watch.look()
    assert [log["removed"] for log in logs] == [[str(socket)]]


class Running(Child):
    """One that is ready, and notes that it was stopped."""

    is_ready = True
    was_stopped = False

    async def stop(self) -> None:
        self.was_stopped = True


def running(folder: Path, admin: Path) -> Running:
    settings = Settings(name="a", state_dir=folder, data_address="", admin_address=f"unix:{admin}")
    return Running("platform", settings, silent_s_max=60)


async def test_a_control_plane_whose_socket_was_removed_is_started_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with own(folder, CONFIG) as state:
        (folder / "control.sock").touch()
        control = running(folder, tmp_path / "admin.sock")
        await FolderWatch(state, control).look()
    assert control.was_stopped


async def test_a_control_plane_runs_on_where_its_socket_could_not_be_made_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    with own(folder, CONFIG) as state, capture_logs() as logs:
        (folder / "control.sock").touch()
        control = running(folder, tmp_path / "removed" / "admin.sock")
        watch = FolderWatch(state, control)
        await watch.look()
        await watch.look()
    assert not control.was_stopped
    assert [log["removed"] for log in logs] == [[str(tmp_path / "removed" / "admin.sock")]]


async def test_a_control_plane_runs_on_where_the_key_could_not_be_read_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    with own(folder, CONFIG) as state, capture_logs() as logs:
        (folder / "decision.key").write_bytes(b"")
        control = running(folder, tmp_path / "admin.sock")
        await FolderWatch(state, control).look()
    assert not control.was_stopped
    assert "decision.key" in logs[0]["error"]
