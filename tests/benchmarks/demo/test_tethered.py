import os
import subprocess
import sys
from pathlib import Path

MODULE = """\
import signal, sys
def drain(*_):
    print("drained", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, drain)
print(sys.argv[1:], flush=True)
signal.pause()
"""


def test_what_is_tethered_drains_when_who_started_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "drains.py").write_text(MODULE)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "log").touch()
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}"}
    command = [sys.executable, "-m", "benchmarks.demo.tethered", str(folder), "drains", "a", "b"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "['a', 'b']\n"
        assert folder.exists()
        process.stdin.close()
        assert process.stdout.readline() == "drained\n"
    assert process.returncode == 3
    assert not folder.exists()


def test_what_ends_by_itself_leaves_the_folder_to_who_started_it(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}"}
    command = [sys.executable, "-m", "benchmarks.demo.tethered", str(tmp_path), "ends"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        assert process.wait() == 0
    assert tmp_path.exists()
