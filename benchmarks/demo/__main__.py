"""`python -m benchmarks.demo` shows six acts and ends; with `serve`, models and Turnout stay."""

import argparse
import asyncio
import os
import secrets
import signal
import sys

from rich.console import Console

from benchmarks.demo.acts import ACTS
from benchmarks.demo.processes import StartError
from benchmarks.demo.serve import PORT, serve
from benchmarks.demo.show import show

_WIDTH = 100  # of tables, where there is no terminal to fit
_INTERRUPTED = 130  # as a shell says it
_LOOK_EVERY_S = 0.5
_SEEDS = 1_000_000  # short enough to type again


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", choices=("show", "serve"), default="show")
    parser.add_argument("--seed", type=int, help="of the traffic, as an earlier run told it")
    parser.add_argument("--port", type=int, default=PORT, help="of `serve`; 0 takes a free one")
    parser.add_argument(
        "--with-parent", action="store_true", help="end when whoever started this has ended"
    )
    return parser


def _end_with(parent: int, loop: asyncio.AbstractEventLoop) -> None:
    """Looks again and again, for a parent that is killed says nothing."""
    if os.getppid() == parent:
        loop.call_later(_LOOK_EVERY_S, _end_with, parent, loop)
    else:
        os.kill(os.getpid(), signal.SIGTERM)


async def _main(arguments: argparse.Namespace, console: Console) -> int:
    task = asyncio.current_task()
    if task is not None:  # so that SIGTERM ends what we started, as Ctrl-C does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if arguments.with_parent:
        _end_with(os.getppid(), asyncio.get_running_loop())
    if arguments.command == "serve":
        await serve(lambda line: print(line, flush=True), arguments.port)
    seed = secrets.randbelow(_SEEDS) if arguments.seed is None else arguments.seed
    return await show(console, ACTS, seed)


def main() -> int:
    arguments = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        return asyncio.run(_main(arguments, console))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0 if arguments.command == "serve" else _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
