"""Where sockets, keys and what outlasts a restart are kept."""

import os
from collections.abc import Mapping
from pathlib import Path

from server.config.diagnostics import ConfigError, Diagnostic
from server.config.schema import Config

# Linux holds 107 bytes of a Unix socket's path, BSD and macOS 103.
SOCKET_PATH_BYTES_MAX = 100
STATE_DIR_BYTES_MAX = SOCKET_PATH_BYTES_MAX - len("/control.sock")


def state_dir(config: Config | None, environ: Mapping[str, str]) -> Path:
    """The folder of sockets and keys; raises ConfigError where it cannot be one.

    None stands for any configuration that does not say.
    """
    # Without a home, ~ stays as it is, and is refused below.
    home = environ.get("HOME") or "~"
    state_home = environ.get("XDG_STATE_HOME", "")
    if not state_home.startswith("/"):  # the XDG specification: others are to be ignored
        state_home = f"{home}/.local/state"
    given = None if config is None else config.state_dir
    folder = f"{state_home}/turnout" if given is None else given
    if folder.startswith("~/"):
        folder = home + folder[1:]
    fault = folder_fault(folder)
    if fault is not None:
        raise ConfigError((Diagnostic("state_dir", None, fault),))
    return Path(folder)


def folder_fault(folder: str) -> str | None:
    """Why sockets cannot be made in the folder, if they cannot."""
    if not folder.startswith("/") or "\0" in folder:
        return f"must be an absolute path such as /var/lib/turnout, not {folder!r}"
    size = len(os.fsencode(folder))
    if size > STATE_DIR_BYTES_MAX:
        return (
            f"must be at most {STATE_DIR_BYTES_MAX} bytes long, not {size}: "
            "longer paths of Unix sockets are refused by the kernel"
        )
    return None
