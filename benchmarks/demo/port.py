"""Whether the port of `make serve` is free, and who holds it if not."""

import errno
import shlex
import socket

import psutil

from benchmarks.demo.processes import StartError

_OURS = "benchmarks.demo"


def refuse_taken(host: str, port: int) -> None:
    """Raises StartError that says what holds the port, and how to end it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Turnout will
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise StartError(f"{host}:{port} is taken by {_holder(port)}") from None


def _holder(port: int) -> str:
    pid = _listening(port)
    if pid is None:
        return f"a process of another user: `ss -ltnp 'sport = :{port}'` as root names it"
    try:
        process = psutil.Process(pid)
        for each in (process, *process.parents()):
            if _OURS in each.cmdline() and "serve" in each.cmdline():
                return (
                    f"another `make serve`, process {each.pid}: use that one, or end it with "
                    f"Ctrl-C where it runs, or by `kill {each.pid}`"
                )
        command = shlex.join(process.cmdline())
    except psutil.Error:
        return f"process {pid}, which has just ended: try again"
    return f"process {pid}: {command}. End it first, or take another port by --port"


def _listening(port: int) -> int | None:
    """The process that listens there, if we may know."""
    try:
        found = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # as on macOS
        return None
    for each in found:
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port:
            return each.pid
    return None
