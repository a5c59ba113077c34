"""No test leaves an error behind that nobody caught, on whichever loop it ran."""

import gc
import logging
from collections.abc import Iterator

import pytest


class _Kept(logging.Handler):
    """Both loops tell asyncio's logger of callbacks that raise and of errors nobody asked for."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(self.format(record))


@pytest.fixture(autouse=True)
def no_error_is_left_to_the_loop() -> Iterator[None]:
    kept, logger = _Kept(), logging.getLogger("asyncio")
    logger.addHandler(kept)
    yield
    gc.collect(1)  # tasks and futures tell when they go
    logger.removeHandler(kept)
    assert kept.errors == []
