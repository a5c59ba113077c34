"""The state folder: one instance holds it, with what its children read from it."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from server.config import Config, to_json
from server.control.kept_file import write_whole
from server.routing.tokens import KEY_BYTES
from server.supervisor.child import StartError


@contextlib.contextmanager
def own(folder: Path, config: Config) -> Iterator[None]:
    """Holds the folder for this instance alone; raises StartError where another does."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"another Turnout runs from the state folder {folder}: stop it, "
                "or give this one a state_dir of its own"
            ) from None
        _make_key(folder / "decision.key")
        write_whole(folder / "live.json", to_json(config))
        yield


def _make_key(path: Path) -> None:
    """Made once: decision ids stay good over restarts of the service."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
