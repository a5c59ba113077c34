"""Which processes hold what a start needs, as far as the system tells.

Linux has it in /proc, of our own user's processes, or of all to root; elsewhere nothing is said.
"""

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LISTENS = "0A"  # of the states in /proc/net/tcp
# Named in one message.
_NAMED_MAX = 3


def holder_of_address(address: str, proc: Path = _PROC) -> str:
    """ "process 1234 (turnout)" for what listens on host:port or unix:/PATH; empty: unknown."""
    if address.startswith("unix:"):
        return _named(_listens_on_path(address.removeprefix("unix:")), proc)
    port = address.rpartition(":")[2]
    sockets = {f"socket:[{inode}]" for inode in _inodes(int(port), proc)}
    return _named(_holding(sockets, proc), proc) if sockets else ""


def holder_of_file(path: Path, proc: Path = _PROC) -> str:
    """Likewise for those that have the file open."""
    return _named(_holding({os.path.realpath(path)}, proc), proc)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _inodes(port: int, proc: Path) -> Iterator[str]:
    """Of the sockets that listen on the port, whatever their address."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                    yield rest[5]


def _holding(links: set[str], proc: Path) -> Iterator[int]:
    """Processes with a descriptor that leads there; not this one, which looks."""
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and links & _open(entry):
            yield int(entry.name)


def _open(process: Path) -> set[str]:
    found = set()
    with suppress(OSError):  # it has ended, or is another user's
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found


def _listens_on_path(path: str) -> Iterator[int]:
    """Whoever called listen, as the kernel tells a caller of it."""
    credentials = getattr(socket, "SO_PEERCRED", None)
    if credentials is None:
        return
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.setblocking(False)
        probe.connect(path)
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, credentials, 12))
        yield pid


def _named(pids: Iterable[int], proc: Path) -> str:
    named = [f"process {pid} ({_name(pid, proc)})" for pid in sorted(pids)]
    return ", ".join(named[:_NAMED_MAX])


def _name(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return "its name is not known"
