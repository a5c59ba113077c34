"""What the service makes of SIGHUP, and what its log says then."""

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from server.supervisor.hang_up import HangUp

RELOADING = "reloading the configuration"


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as found:
        yield found


def test_a_service_that_serves_reads_its_configuration_again(logs: list[EventDict]) -> None:
    reloads: list[str] = []
    HangUp(lambda: reloads.append("once"), asyncio.Event()).heard()
    assert reloads == ["once"]
    assert [entry["event"] for entry in logs] == [RELOADING]


def test_a_service_that_drains_says_so_and_reloads_nothing(logs: list[EventDict]) -> None:
    reloads: list[str] = []
    stopping = asyncio.Event()
    hang_up = HangUp(lambda: reloads.append("once"), stopping)
    stopping.set()
    hang_up.heard()
    assert reloads == []
    assert [entry["event"] for entry in logs] == ["draining: the configuration is not read again"]
