"""Keys of models: read where they are, again when their files change, and never shown."""

from pathlib import Path

import pytest

from server.config.models import KeySource
from server.config.parse import parse
from server.named_files.keys import (
    KEY_BYTES_MAX,
    LOOK_EVERY_S,
    OVERLAP_S,
    KeyUnusable,
    StoredKey,
    key_findings,
    read_key,
)
from tests.server.configs import plain


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def in_file(path: Path) -> KeySource:
    return KeySource(None, str(path))


def test_a_key_is_that_of_its_variable_or_its_file_without_the_blanks_around(
    tmp_path: Path,
) -> None:
    (tmp_path / "key").write_text("  sk-file\n")
    assert read_key(in_file(tmp_path / "key"), {}) == "sk-file"
    assert read_key(KeySource("A_KEY", None), {"A_KEY": "sk-env\n"}) == "sk-env"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"sk-two\nlines", "one line of visible ASCII"),
        ("schl\u00fcssel".encode(), "one line of visible ASCII"),
        (b"s" * (KEY_BYTES_MAX + 1), "no key is so long"),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_showing_it(
    tmp_path: Path, data: bytes, words: str
) -> None:
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(KeyUnusable, match=words) as failed:
        read_key(in_file(tmp_path / "key"), {})
    assert "sk" not in str(failed.value)


def test_every_key_that_is_missing_is_named_by_its_place(tmp_path: Path) -> None:
    model = {
        "name": "hosted",
        "protocol": "openai",
        "endpoints": ["https://a.example/v1"],
        "price": {"request_usd": 1},
        "prior_accuracy": 0.9,
        "headers": [{"name": "x-a", "value": "b"}, {"name": "x-b", "file": f"{tmp_path}/none"}],
    }
    config = parse(plain((("models", 2), model | {"api_key_env": "A_KEY"})))
    assert dict(key_findings(config, {})) == {
        ("models", 2, "api_key_env"): (
            "no environment variable of this name is set where the service runs"
        ),
        ("models", 2, "headers", 1, "file"): ("the file cannot be read: No such file or directory"),
    }


def test_a_new_key_is_used_soon_and_the_one_before_is_tried_after_it_for_a_while(
    tmp_path: Path,
) -> None:
    file, clock = tmp_path / "key", Clock()
    file.write_text("old")
    stored = StoredKey(in_file(file), {}, now_s=clock)
    assert stored.candidates() == ("old",)
    file.write_text("newer")
    assert stored.candidates() == ("old",)  # a file is not looked at for each request
    clock.now_s += LOOK_EVERY_S
    assert stored.candidates() == ("newer", "old")
    clock.now_s += OVERLAP_S
    assert stored.candidates() == ("newer",)


def test_a_file_that_is_half_written_takes_no_key_away(tmp_path: Path) -> None:
    file, clock = tmp_path / "key", Clock()
    file.write_text("old")
    stored = StoredKey(in_file(file), {}, now_s=clock)
    stored.candidates()
    for content in ("", None, "fresh"):
        file.unlink(missing_ok=True) if content is None else file.write_text(content)
        clock.now_s += LOOK_EVERY_S
        assert stored.candidates()[0] == (content or "old")


def test_a_key_that_comes_late_is_found(tmp_path: Path) -> None:
    clock = Clock()
    stored = StoredKey(in_file(tmp_path / "key"), {}, now_s=clock)
    with pytest.raises(KeyUnusable):
        stored.candidates()
    (tmp_path / "key").write_text("here")
    assert stored.candidates() == ("here",)
