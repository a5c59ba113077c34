"""`python -m benchmarks.demo` shows five acts and ends; with `serve`, models and Turnout stay."""

import argparse
import asyncio
import signal
import sys

from rich.console import Console

from benchmarks.demo.acts import ACTS
from benchmarks.demo.processes import StartError
from benchmarks.demo.serve import serve
from benchmarks.demo.show import show

_WIDTH = 100  # of tables, where there is no terminal to fit
_INTERRUPTED = 130  # as a shell says it


async def _main(command: str, console: Console) -> int:
    task = asyncio.current_task()
    if task is not None:  # so that SIGTERM ends what we started, as Ctrl-C does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if command == "serve":
        await serve(lambda line: print(line, flush=True))
    return await show(console, ACTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", choices=("show", "serve"), default="show")
    command = parser.parse_args().command
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        return asyncio.run(_main(command, console))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0 if command == "serve" else _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
