"""Processes of a benchmark: one that is asked once, and one that serves until it is ended."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# A drain with nothing out takes a moment.
_STOP_S = 20.0
# Of what a process said before it failed, what people are shown.
_SAID_CHARS = 2_000


class ProcessFailed(Exception):
    """A process did not do what it was for; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that serves."""

    process: subprocess.Popen[str]
    log: Path

    def line(self) -> str:
        """The next line on its standard output; raises ProcessFailed if it ends without one."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise self.failed("ended")
        return line.strip()

    def ask(self, line: str) -> str:
        """Says a line on its standard input; the next line that it answers."""
        if self.process.stdin:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        return self.line()

    def failed(self, how: str) -> ProcessFailed:
        """What to raise, with the end of the log."""
        said = self.log.read_text(errors="replace")[-_SAID_CHARS:]
        return ProcessFailed(f"{self.log.stem} {how}: {said or 'it said nothing'}")


def answer(*arguments: str) -> str:
    """What Python says with these arguments when it is done; raises ProcessFailed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProcessFailed(f"{' '.join(arguments[:2])} failed: {done.stderr[-_SAID_CHARS:]}")
    return done.stdout


@contextmanager
def serving(name: str, *arguments: str, folder: Path) -> Iterator[Server]:
    """Runs Python with these arguments until the end, with a log in the folder."""
    log = folder / f"{name}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,  # its end tells a server that we are gone
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    with process:
        try:
            yield Server(process, log)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
