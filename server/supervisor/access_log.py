"""Where workers write of requests: a folder that is made where it is missing."""

import os
from pathlib import Path

from server.supervisor.child import StartError
from server.telemetry.line_files import STDERR


def access_log_at(configured: str | None) -> str | None:
    """What workers are told; raises StartError where nothing can be written there."""
    if configured is None or configured == STDERR:
        return configured
    folder = Path(configured).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"access_log: {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(f"access_log: nothing can be written in {folder}: let its user do so")
    return str(folder)
