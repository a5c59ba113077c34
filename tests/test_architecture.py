"""docs/architecture.md names places that are there, and its picture is made of its source."""

import html
import re
from pathlib import Path

import pytest

PAGE = Path("docs/architecture.md").read_text()
SOURCE = re.sub(r"(?m)^\s*//.*$", "", Path("docs/architecture.dot").read_text())
PICTURE = Path("docs/architecture.svg").read_text()

FOLDERS = "server|optimizer|protos|clients|docs|deploy|tests|benchmarks"
PLACES = re.findall(rf"`((?:{FOLDERS})/[^`]+)`", PAGE)
# The first line of a box names a room of `server/`, or of the repository.
ROOMS = re.findall(r'\w+ \[label="([a-z_/]+)\\n', SOURCE)


def labels_of_source() -> list[str]:
    labels = re.findall(r'\blabel="([^"]*)"', SOURCE)
    return sorted(line.strip() for label in labels for line in label.split(r"\n"))


def labels_of_picture() -> list[str]:
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", PICTURE)
    return sorted(html.unescape(text).strip() for text in texts)


@pytest.mark.parametrize("place", sorted(set(PLACES)))
def test_a_place_that_the_page_names_is_there(place: str) -> None:
    assert Path(place).exists(), f"docs/architecture.md names {place}, which is not there"


@pytest.mark.parametrize("room", sorted({*ROOMS} - {"caller", "acceptor"}))
def test_a_room_in_the_picture_is_there(room: str) -> None:
    places = [Path(under) / name for under in ("server", "") for name in (room, f"{room}.py")]
    assert any(place.exists() for place in places), f"docs/architecture.dot names {room}"


def test_the_picture_says_what_its_source_says() -> None:
    assert labels_of_picture() == labels_of_source(), "run `make picture`"
