"""Structured logs on stderr: JSON for machines, lines with colour for a terminal.

What nobody caught on an event loop is logged too, with where it was: it is a fault of ours.
"""

import asyncio
import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

from server.telemetry.faults import trace_of

_log = structlog.get_logger()


def configure_logs(process: str) -> None:
    """Sends all logs of this process, the libraries' too, to stderr under its name."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(process=process)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers())
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Logs in place of the loop, whose own words name arguments: those of a protocol hold what
    a peer sent.
    """
    loop.set_exception_handler(_log_error)


def _renderers() -> list[Processor]:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        # Plain, for the other formatters print the values of locals, keys and all.
        plain = structlog.dev.plain_traceback
        return [remove, structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [
        remove,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]


def _log_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    what = str(context.get("message", "")).partition("(")[0]
    error = context.get("exception")
    trace = {} if error is None else {"error": type(error).__name__, "trace": trace_of(error)}
    _log.error("unhandled in the event loop", what=what, **trace)
