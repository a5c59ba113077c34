"""Who is taken for hanging, on a clock that nobody waits for; and real children that beat."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fuzz.loop import TurnLoop
from server.app.settings import Settings
from server.supervisor.child import Child, keep
from server.supervisor.watchdog import LOOK_S, hangs
from tests.server.supervisor.test_child import PATIENCE_S, logged
from tests.server.transport.turned_loop import TurnedLoop

SILENT_S = 10.0
SILENT, DRAINING = (f"tests.server.supervisor.{name}_child" for name in ("silent", "draining"))


def on_a_clock_of_its_own(main: Coroutine[Any, Any, bool]) -> bool:
    with asyncio.Runner(loop_factory=TurnLoop) as runner:
        return runner.run(main)


async def judged(gaps_s: Sequence[float]) -> bool:
    """Whether a child hangs that beats after each of these gaps, and then ends."""
    beats = asyncio.StreamReader()
    watching = asyncio.create_task(hangs(beats, silent_s_max=SILENT_S))
    for gap_s in gaps_s:
        await asyncio.sleep(gap_s)
        beats.feed_data(b".")
    beats.feed_eof()
    return await watching


short = st.floats(0, SILENT_S - LOOK_S, exclude_max=True)
long = st.floats(SILENT_S + LOOK_S, 1_000)


@given(st.lists(short, max_size=50))
def test_a_child_that_beats_in_time_is_well_however_long_it_lives(gaps_s: list[float]) -> None:
    assert not on_a_clock_of_its_own(judged(gaps_s))


@given(st.lists(short, max_size=10), long)
def test_a_child_that_tells_nothing_for_so_long_hangs(gaps_s: list[float], gap_s: float) -> None:
    assert on_a_clock_of_its_own(judged([*gaps_s, gap_s]))


def test_an_hour_in_which_the_supervisor_was_not_run_is_no_silence() -> None:
    with asyncio.Runner(loop_factory=TurnedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, TurnedLoop)
        assert not runner.run(slept(loop, times=100))


async def slept(loop: TurnedLoop, *, times: int) -> bool:
    """Whether a child hangs that beats after each sleep of the machine, and then ends."""
    beats = asyncio.StreamReader()
    watching = asyncio.create_task(hangs(beats, silent_s_max=2 * LOOK_S))
    for _ in range(times):
        await turns(loop)
        loop.ahead_s += 3_600
        await turns(loop)
        beats.feed_data(b".")
    await turns(loop)
    beats.feed_eof()
    return await watching


async def turns(loop: TurnedLoop) -> None:
    """Whoever is due has had its turn."""
    for _ in range(5):
        await asyncio.sleep(0)


def made(folder: Path, module: str) -> Child:
    settings = Settings(name="a", state_dir=folder, data_address="", admin_address="")
    return Child(module, settings, silent_s_max=LOOK_S)


async def test_a_child_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    child, stopping = made(tmp_path, SILENT), asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        await child.start()
        keeper = asyncio.create_task(keep(child, stopping))
        await logged(logs, "process hangs", "process died", "process hangs", "process died")
        stopping.set()
        await child.stop()
        await keeper
    assert (logs[0]["name"], logs[0]["silent_s"], logs[0]["state"]) == ("a", LOOK_S, "S")
    assert logs[1]["status"] == -signal.SIGKILL


async def test_a_child_that_hangs_while_it_drains_ends(tmp_path: Path) -> None:
    child = made(tmp_path, SILENT)
    with structlog.testing.capture_logs() as logs:
        await child.start()
        await child.stop()  # it does not listen
    assert [entry["event"] for entry in logs] == ["process hangs"]
    assert await child.ended() == -signal.SIGKILL


async def read_until(stdout: asyncio.StreamReader, enough: Callable[[bytes], bool]) -> bytes:
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        while not enough(said):
            said += await stdout.readexactly(1)
    return said


async def test_a_child_beats_from_its_start_to_the_end_of_its_drain() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", DRAINING, "drains"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    assert await read_until(process.stdout, lambda said: len(said) == 3) == b"..."
    process.send_signal(signal.SIGTERM)
    await read_until(process.stdout, lambda said: said.endswith(b"draining\n"))
    assert await read_until(process.stdout, lambda said: len(said) == 3) == b"..."
    process.kill()
    await process.wait()


async def test_a_supervisor_that_does_not_read_holds_up_no_child() -> None:
    ours, theirs = os.pipe()
    room = fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4_096)
    os.write(theirs, bytes(room - len(b"ready\n")))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", DRAINING, "beats"), stdin=asyncio.subprocess.PIPE, stdout=theirs
    )
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 0
    os.close(theirs)
    assert len(os.read(ours, 2 * room)) == room  # there was room for no beat
    os.close(ours)
