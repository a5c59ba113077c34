"""Writes the files that outlive the control plane, whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Returns once the content is on the disk; readers see the old file or the new, never half."""
    unfinished = path.with_name(f"{path.name}.new")
    with open(unfinished, "wb", opener=_for_us_only) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or the new name may be lost with the power
    finally:
        os.close(folder)


def _for_us_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
