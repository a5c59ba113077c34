"""Secrets that an operator gives us in files, which other users should not be able to read."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from server.config.listeners import ListenersConfig

_log = structlog.get_logger()


def warn_of_open_secrets(listeners: ListenersConfig) -> None:
    """Once, at the start. They are not refused: who mounts them may have no say in their mode."""
    for key, mode in _open(_secrets(listeners)):
        # By its key, for someone may have put the secret itself where its file's name belongs.
        _log.warning("every user of this machine can read a secret: chmod o=", key=key, mode=mode)


def _secrets(listeners: ListenersConfig) -> Mapping[str, str]:
    tls, secret = listeners.tls, listeners.admin_token_file
    named = {} if secret is None else {"listeners.admin_token_file": secret}
    return named if tls is None else {**named, "listeners.tls.key_file": tls.key_file}


def _open(secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, file in secrets.items():
        path = Path(os.path.expanduser(file))
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            yield key, f"{mode:04o}"
