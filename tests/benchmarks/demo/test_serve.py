"""The service that `make serve` leaves running: how it ends, and who holds its port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from benchmarks.demo.serve import CLIENT_CODE, PORT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

_SERVE = (sys.executable, "-u", "-m", "benchmarks.demo", "serve", "--with-parent", "--port")
_END_S = 60.0
_LOOK_EVERY_S = 0.05


class Served(NamedTuple):
    """The demo's service, below a shell as it is below make."""

    shell: subprocess.Popen[str]
    folder: Path  # of all that it writes

    @property
    def demo(self) -> psutil.Process:
        (demo,) = psutil.Process(self.shell.pid).children()
        return demo

    def address(self) -> str:
        """Once it serves."""
        assert self.shell.stdout is not None
        for line in self.shell.stdout:
            if found := re.match(r"Turnout listens at (\S+),", line):
                return found[1]
        pytest.fail("it does not serve")

    def wait_until_it_trains(self) -> None:
        """Until the process that trains has begun: it opens its log first of all."""
        until_s = time.monotonic() + _END_S
        while not any(self.folder.glob("turnout-demo-*/training.log")):
            assert time.monotonic() < until_s, "it does not train"
            time.sleep(_LOOK_EVERY_S)

    def left_behind(self, processes: list[psutil.Process]) -> list[object]:
        """Once all have had time to end: those that have not, and folders."""
        _, alive = psutil.wait_procs(processes, timeout=_END_S)
        return [*alive, *self.folder.glob("turnout-demo-*")]


def processes_of(served: Served, at_least: int) -> list[psutil.Process]:
    """The demo and what it started, once these are so many."""
    until_s = time.monotonic() + _END_S
    while time.monotonic() < until_s:
        demo = psutil.Process(served.shell.pid).children()
        processes = [*demo, *(each for one in demo for each in one.children(recursive=True))]
        if len(processes) >= at_least:
            return processes
        time.sleep(_LOOK_EVERY_S)
    pytest.fail(f"it does not start {at_least} processes")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    script = f"{' '.join(_SERVE)} 0; exit $?"  # so that the shell stays
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as shell:
        yield Served(shell, tmp_path)
        if shell.poll() is None:
            for child in psutil.Process(shell.pid).children():
                child.terminate()


def test_the_code_that_serve_prints_works_against_it_and_ctrl_c_ends_it(served: Served) -> None:
    address = served.address()
    code = CLIENT_CODE.replace(f"127.0.0.1:{PORT}", address)
    answered = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "says" in answered.stdout
    processes = processes_of(served, at_least=1)
    served.demo.send_signal(signal.SIGINT)
    said = served.shell.stdout.read() if served.shell.stdout else ""
    assert code in said
    assert served.shell.wait(timeout=_END_S) == 0
    assert served.left_behind(processes) == []


def test_a_demo_that_is_killed_leaves_nothing_behind(served: Served) -> None:
    served.address()
    processes = processes_of(served, at_least=1)
    served.demo.kill()
    assert served.left_behind(processes) == []


def test_a_demo_that_is_killed_while_it_trains_leaves_nothing_behind(served: Served) -> None:
    served.wait_until_it_trains()
    # Itself, the fork server, its tracker and the process that trains.
    processes = processes_of(served, at_least=4)
    served.demo.kill()
    assert served.left_behind(processes) == []


def test_a_demo_whose_make_is_killed_ends_and_leaves_nothing_behind(served: Served) -> None:
    served.address()
    processes = processes_of(served, at_least=1)
    served.shell.kill()
    assert served.left_behind(processes) == []


def test_a_second_one_says_that_the_first_holds_the_port(served: Served) -> None:
    _, _, port = served.address().rpartition(":")
    second = subprocess.run([*_SERVE, port], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"127.0.0.1:{port} is taken by another `make serve`" in second.stderr
    assert f"`kill {served.demo.pid}`" in second.stderr
