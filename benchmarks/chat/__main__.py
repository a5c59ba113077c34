"""`python -m benchmarks.chat` shows three acts with real language models, and ends."""

import argparse
import asyncio
import secrets
import signal
import sys

from rich.console import Console

from benchmarks.chat.acts import ACTS
from benchmarks.chat.language_model import LanguageModelMissing
from benchmarks.chat.questions import questions
from benchmarks.chat.show import show
from benchmarks.demo.processes import StartError

_WIDTH = 100  # of tables, where there is no terminal to fit
_INTERRUPTED = 130  # as a shell says it
_SEEDS = 1_000_000  # short enough to type again


async def _main(seed: int | None, console: Console) -> int:
    task = asyncio.current_task()
    if task is not None:  # so that SIGTERM ends what we started, as Ctrl-C does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    seed = secrets.randbelow(_SEEDS) if seed is None else seed
    return await show(console, ACTS, seed, asked=questions())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="of the traffic, as an earlier run told it")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        return asyncio.run(_main(arguments.seed, console))
    except (StartError, LanguageModelMissing) as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
