"""Clients that others wrote, each a program that is run once."""

import asyncio
from pathlib import Path

NODE = Path(__file__).parent / "node"
LANGCHAIN = Path(__file__).parents[2] / ".venv-peers"
PATIENCE_S = 50.0


class Failed(AssertionError):
    """A program that should have ended well did not; the message is what it said."""


async def started(*command: str | Path) -> asyncio.subprocess.Process:
    """Running, in a session of its own; what it says is collected by `output_of`."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )


async def output_of(process: asyncio.subprocess.Process, said: bytes = b"") -> str:
    """What it prints, told `said` on its standard input; raises Failed."""
    async with asyncio.timeout(PATIENCE_S):
        output, errors = await process.communicate(said)
    if process.returncode:
        raise Failed(f"exit status {process.returncode}: {(output + errors).decode()}")
    return output.decode()


async def output(*command: str | Path, said: bytes = b"") -> str:
    """What a program prints by the time that it has ended; raises Failed."""
    return await output_of(await started(*command), said)
