"""Reads deploy/Dockerfile, so that tests do what it says and cannot drift from it."""

import json
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


class Instruction(NamedTuple):
    """One line of it, whatever lines it is written on."""

    name: str
    text: str


def instructions() -> list[Instruction]:
    """All of them, in their order."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    parted = [line.partition(" ") for line in whole.splitlines() if line]
    return [Instruction(name, " ".join(text.split())) for name, _, text in parted]


def last(name: str) -> str:
    """What the last instruction of this name says: it is the one that holds."""
    return [each.text for each in instructions() if each.name == name][-1]


def command(name: str) -> list[str]:
    """The words of an instruction in exec form, which needs no shell."""
    words: list[str] = json.loads(last(name).partition("CMD ")[2] or last(name))
    return words
