import os
import socket
from pathlib import Path

from server.supervisor.holders import holder_of_address, holder_of_file, is_running
from tests.server.supervisor.test_folder_lock import ended_pid

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when inode\n"


def listening(number: int, port: int, state: str, inode: int) -> str:
    """A line of /proc/net/tcp."""
    rest = f"00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0000 100 0 0 10 0"
    return f"   {number}: 0100007F:{port:04X} 00000000:0000 {state} {rest}\n"


def made(proc: Path, table: str, processes: dict[int, tuple[str, str]]) -> Path:
    """A /proc with this table and these processes, each with a name and what it has open."""
    (proc / "net").mkdir(parents=True)
    (proc / "net" / "tcp").write_text(HEAD + table)
    for pid, (name, leads_to) in processes.items():
        (proc / str(pid) / "fd").mkdir(parents=True)
        (proc / str(pid) / "comm").write_text(f"{name}\n")
        (proc / str(pid) / "fd" / "3").symlink_to(leads_to)
    return proc


def test_who_listens_on_a_port_is_named(tmp_path: Path) -> None:
    table = listening(0, 7_080, "0A", 55) + listening(1, 7_080, "01", 66)
    proc = made(tmp_path, table, {12: ("nginx", "socket:[55]"), 13: ("curl", "socket:[66]")})
    assert holder_of_address("127.0.0.1:7080", proc) == "process 12 (nginx)"
    assert holder_of_address("127.0.0.1:7081", proc) == ""


def test_of_many_that_share_it_a_few_are_named(tmp_path: Path) -> None:
    processes = {pid: ("nginx", "socket:[55]") for pid in range(1, 9)}
    proc = made(tmp_path, listening(0, 80, "0A", 55), processes)
    assert holder_of_address("[::]:80", proc).count("process") == 3


def test_without_proc_nothing_is_said(tmp_path: Path) -> None:
    assert holder_of_address("127.0.0.1:7080", tmp_path / "none") == ""
    assert holder_of_file(tmp_path, tmp_path / "none") == ""


def test_who_listens_on_a_path_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert f"process {os.getpid()} (" in holder_of_address(f"unix:{path}")
    assert holder_of_address(f"unix:{path}") == ""


def test_who_has_a_file_open_is_named(tmp_path: Path) -> None:
    proc = made(tmp_path / "proc", "", {12: ("python", str(tmp_path / "lock"))})
    assert holder_of_file(tmp_path / "lock", proc) == "process 12 (python)"


def test_who_has_ended_runs_no_more() -> None:
    assert is_running(os.getpid())
    assert not is_running(ended_pid())
