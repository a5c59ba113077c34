"""What nobody caught on an event loop: a fault of ours, which is logged with its traceback."""

import asyncio
from typing import Any

import structlog

_log = structlog.get_logger()


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """In place of the loop's own words, which name arguments: of a protocol, what a peer sent."""
    loop.set_exception_handler(_log_error)


def _log_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    what = str(context.get("message", "")).partition("(")[0]
    _log.error("unhandled in the event loop", what=what, exc_info=context.get("exception"))
