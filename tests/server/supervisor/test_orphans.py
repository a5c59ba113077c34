"""What a supervisor leaves that was killed."""

import signal
import subprocess
import sys

import pytest


@pytest.mark.timeout(60)
def test_a_child_that_hangs_ends_after_its_supervisor_all_the_same() -> None:
    command = (sys.executable, "-m", "tests.server.supervisor.hanging_child")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"nowhere\n"
        child.stdin.close()
        assert child.wait() == -signal.SIGALRM
