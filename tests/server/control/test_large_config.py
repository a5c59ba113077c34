"""What a worker does beside its loop when a large configuration comes."""

import gc
import threading
from collections.abc import Iterator

import pytest

from server.config.as_json import to_json
from server.config.diagnostics import ConfigError
from server.control.large_config import BYTES_AT_ONCE, beside_loop, read_config
from tests.server.control.told import service


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """What stays for a worker need not stay for other tests."""
    yield
    gc.unfreeze()


async def test_the_collector_waits_meanwhile_and_has_nothing_to_look_at_afterwards() -> None:
    def work() -> tuple[bool, bool, list[list[int]]]:
        is_apart = threading.current_thread() is not threading.main_thread()
        return is_apart, gc.isenabled(), [[number] for number in range(100_000)]

    is_apart, collects, made = await beside_loop(work)
    assert (is_apart, collects, len(made)) == (True, False, 100_000)
    assert gc.isenabled()
    assert gc.get_count()[0] < 10_000


async def test_a_configuration_that_is_none_is_refused_and_the_collector_goes_on() -> None:
    with pytest.raises(ConfigError):
        await read_config(b" " * BYTES_AT_ONCE + b"{}")
    assert gc.isenabled()


async def test_a_small_configuration_is_read_at_once() -> None:
    reading = read_config(to_json(service()))
    with pytest.raises(StopIteration) as read:
        reading.send(None)
    assert read.value.value == service()
