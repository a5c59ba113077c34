"""The processes of language models: one for each model, started side by side."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from benchmarks.chat.language_model import command_of
from benchmarks.chat.models import EXAMPLES, template_of
from benchmarks.demo.processes import START_S, start_error


class LanguageServers:
    """They end when the stack does, and with us where we are killed: their standard input ends."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self) -> Mapping[str, str]:
        """The base URL of each, when all serve. Raises LanguageModelMissing or StartError."""
        for name in EXAMPLES:
            self._processes[name] = await self._started(name)
        return {name: await self._url_of(name) for name in EXAMPLES}

    def kill(self, name: str) -> None:
        """As a crash would: nothing is drained, nothing is said."""
        self._processes[name].kill()

    async def _started(self, name: str) -> asyncio.subprocess.Process:
        options: tuple[str, ...] = ()
        if template := template_of(name):
            file = self._folder / f"{name}.jinja"
            file.write_text(template)
            options = ("--chat-template", str(file))
        with (self._folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command_of(*options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                process_group=0,  # Ctrl-C is for the show, which ends all in order
            )
        self._stack.push_async_callback(_end, process)
        return process

    async def _url_of(self, name: str) -> str:
        said = self._processes[name].stdout
        assert said is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                if url := (await said.readline()).decode().strip():
                    return url
        raise start_error(name, self._folder / f"{name}.log")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
