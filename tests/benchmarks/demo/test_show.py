"""The whole demo at toy length, and the service that it leaves running."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.demo.acts import ACTS
from benchmarks.demo.serve import CLIENT_CODE, PORT
from benchmarks.demo.show import show

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

_TOY_S = 2.0


async def test_the_demo_performs_all_acts_and_keeps_every_promise() -> None:
    console = Console(file=io.StringIO(), width=100)
    acts = [replace(act, watched_s=_TOY_S) for act in ACTS]
    status = await show(console, acts, seed=3)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert (status, text.splitlines()[-1]) == (
        0,
        "No promise was broken beyond what chance allows.",
    ), text
    assert all(act.title in text for act in ACTS)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-u", "-m", "benchmarks.demo", "serve", "--port", "0"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.terminate()


def test_the_code_that_serve_prints_works_against_it_and_ctrl_c_ends_it(
    served: subprocess.Popen[str],
) -> None:
    assert served.stdout is not None
    text = ""
    for line in served.stdout:
        text += line
        if line.startswith("Or: "):
            break
    address = re.findall(r"Turnout listens at (\S+),", text)[0]
    code = CLIENT_CODE.replace(f"127.0.0.1:{PORT}", address)
    assert code in text
    answered = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "says" in answered.stdout
    served.send_signal(signal.SIGINT)
    assert served.wait(timeout=60) == 0
