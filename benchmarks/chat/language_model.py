"""Starts real language models on this machine, for tests, benchmarks and `make chat`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-models" / "bin" / "python"


class LanguageModelMissing(Exception):
    """The packages of language models are not installed."""


def command_of(*options: str) -> tuple[str, ...]:
    """Starts one; `options` are those of `model_server.py`. Raises LanguageModelMissing."""
    if not PYTHON.exists():
        raise LanguageModelMissing(f"{PYTHON} is not there: make peers")
    return (str(PYTHON), str(Path(__file__).with_name("model_server.py")), *options)


@contextmanager
def language_model(*options: str) -> Iterator[str]:
    """Runs one and gives its base URL, such as http://127.0.0.1:4711/v1, once it answers.

    `options` are those of `model_server.py`. Raises LanguageModelMissing.
    """
    command = command_of(*options)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"{command[1]} ended before it answered")
            yield url
        finally:
            process.kill()
