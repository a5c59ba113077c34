"""Errors that nobody caught on a loop are in the log, without what a peer sent."""

import asyncio
import gc
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from server.telemetry.logs import log_loop_errors

BOTH = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
WORDS = "what a peer sent"
MakeLoop = Callable[[], asyncio.AbstractEventLoop]


def logged(make_loop: MakeLoop, begin: Callable[[], object]) -> MutableMapping[str, Any]:
    """The line that is written of what `begin` leaves behind."""

    async def play() -> None:
        log_loop_errors(asyncio.get_running_loop())
        begin()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()

    with capture_logs() as lines, asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(play())
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("unhandled in the event loop", "error")
    return line


async def fail() -> None:
    raise ValueError(WORDS)


@BOTH
def test_a_callback_that_raises_is_logged_without_its_arguments(make_loop: MakeLoop) -> None:
    def take(data: bytes) -> None:
        raise ValueError(WORDS)

    line = logged(make_loop, lambda: asyncio.get_running_loop().call_soon(take, b"secret"))
    assert "take" in line["what"] or "callback" in line["what"]
    assert "secret" not in line["what"]
    assert line["error"] == "ValueError"
    assert WORDS not in line["trace"]


@BOTH
def test_an_error_that_nobody_asked_for_is_logged(make_loop: MakeLoop) -> None:
    line = logged(make_loop, lambda: asyncio.get_running_loop().create_task(fail()))
    assert line["what"] == "Task exception was never retrieved"
    assert line["error"] == "ValueError"
    assert WORDS not in line["trace"]
