"""The file of the key that decision ids are sealed with."""

import secrets
from pathlib import Path

from server.control.kept_file import FileRefused, read_own, write_whole
from server.routing.decision_id import KEY_BYTES


def read_key(path: Path) -> bytes:
    """The key; raises FileRefused."""
    try:
        key = read_own(path, bytes_max=KEY_BYTES)
    except FileNotFoundError:
        raise FileRefused(f"{path} is missing: start the service again, which makes it") from None
    if len(key) != KEY_BYTES:
        raise FileRefused(
            f"{path} holds {len(key)} bytes, not the {KEY_BYTES} of a key: restore it, "
            "or remove it for a new one (reports on earlier decisions are refused then)"
        )
    return key


def make_key(path: Path) -> bytes:
    """The key, made where there is none, so that ids stay good over restarts.

    Raises FileRefused or OSError.
    """
    if not path.exists():
        write_whole(path, secrets.token_bytes(KEY_BYTES))
    return read_key(path)
