"""Inputs that are kept from run to run, a folder for each target."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
_CODE = re.compile(r"\w+( \d+)?")
# How each input ended when it was kept, by target and file.
ENDS = FOLDER / "ends.json"
# Of a target: what a repository can carry, and a test replays in a second.
FILES_MAX, BYTES_MAX = 40, 64 * 1_024


def read(target: str, folder: Path = FOLDER) -> list[bytes]:
    """Those of a target, in the order of their names."""
    place = folder / target.replace(" ", "-")
    return [file.read_bytes() for file in sorted(place.glob("*"))] if place.is_dir() else []


def kind_of_end(outcome: str) -> str:
    """The codes of an end without its words, which may be put better one day."""
    return "; ".join(found[0] for part in outcome.split("; ") if (found := _CODE.match(part)))


def file_name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def keep(target: str, inputs: Iterable[bytes], folder: Path = FOLDER) -> None:
    """Puts these in the place of those that were kept, as many as there may be."""
    place = folder / target.replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    for file in place.iterdir():
        file.unlink()
    for data in _fitting(dict.fromkeys(inputs)):
        (place / file_name(data)).write_bytes(data)


def _fitting(inputs: Iterable[bytes]) -> Iterator[bytes]:
    """Those that there is room for; a long one leaves it to shorter ones behind it."""
    files_left, bytes_left = FILES_MAX, BYTES_MAX
    for data in inputs:
        if files_left and len(data) <= bytes_left:
            files_left -= 1
            bytes_left -= len(data)
            yield data
