import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.supervisor.child import StartError
from server.supervisor.folder_lock import LOCK, lock_folder

# Takes the lock whose descriptor it is handed, and ends when its stdin does.
_HOLDER = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"


def ended_pid() -> int:
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def test_another_instance_is_named_by_its_process(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    with pytest.raises(StartError, match=rf"another Turnout \(process {os.getpid()}\) runs"):
        lock_folder(tmp_path)
    os.close(lock)
    os.close(lock_folder(tmp_path))


def test_a_lock_that_says_nobody_is_another_instances(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    os.ftruncate(lock, 0)
    with pytest.raises(StartError, match="another Turnout runs from the state folder"):
        lock_folder(tmp_path)
    os.close(lock)


def test_what_a_killed_instance_left_is_waited_for_and_then_named(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[lock],
    ) as left:
        assert left.stdout is not None
        assert left.stdin is not None
        left.stdout.readline()
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(ended_pid()).encode(), 0)  # as if a supervisor had been killed
        os.close(lock)
        with pytest.raises(StartError, match=rf"process {left.pid} \(python.*\) of a Turnout that"):
            lock_folder(tmp_path, left_s_max=0.0)
        left.stdin.close()
        os.close(lock_folder(tmp_path))


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        lock_folder(tmp_path)
