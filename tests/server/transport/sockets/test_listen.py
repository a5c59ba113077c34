import socket
import stat
from pathlib import Path

import pytest

from server.transport.sockets.listen import ListenError, listen


def test_a_free_port_is_found_and_told() -> None:
    listener = listen("127.0.0.1:0")
    host, _, port = listener.address.rpartition(":")
    assert host == "127.0.0.1"
    with socket.create_connection((host, int(port)), timeout=5):
        pass
    listener.close()


def test_ipv6_listens_as_callers_write_it() -> None:
    listener = listen("[::1]:0")
    assert listener.address.startswith("[::1]:")
    with socket.create_connection(("::1", int(listener.address.rpartition(":")[2])), timeout=5):
        pass
    listener.close()


def test_every_ipv6_address_is_every_ipv4_address_too() -> None:
    listener = listen("[::]:0")
    port = int(listener.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    listener.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_port_is_not_shared(host: str) -> None:
    listener = listen(f"{host}:0")
    with pytest.raises(ListenError) as refusal:
        listen(listener.address)
    assert str(refusal.value) == f"{listener.address}: address already in use"
    listener.close()


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "cannot assign requested address"), ("a..b", "this is no name of a host")],
)
def test_an_address_that_is_not_of_this_machine_is_told(host: str, words: str) -> None:
    with pytest.raises(ListenError) as refusal:
        listen(f"{host}:0")
    assert str(refusal.value) == f"{host}:0: {words}"


def test_a_unix_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    listener = listen(f"unix:{tmp_path}/data.sock")
    assert stat.S_IMODE((tmp_path / "data.sock").stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{tmp_path}/data.sock")
    listener.close()


def test_a_unix_socket_leaves_no_file_behind(tmp_path: Path) -> None:
    listen(f"unix:{tmp_path}/data.sock").close()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/data.sock")
        left.listen()
    listener = listen(f"unix:{tmp_path}/data.sock")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{tmp_path}/data.sock")
    listener.close()


def test_a_unix_socket_is_not_shared(tmp_path: Path) -> None:
    listener = listen(f"unix:{tmp_path}/data.sock")
    with pytest.raises(ListenError, match="address already in use"):
        listen(f"unix:{tmp_path}/data.sock")
    assert (tmp_path / "data.sock").exists()
    listener.close()


def test_a_unix_socket_of_one_who_is_too_busy_to_answer_is_not_taken(tmp_path: Path) -> None:
    path = f"{tmp_path}/data.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)  # fills the backlog
        with pytest.raises(ListenError, match="address already in use"):
            listen(f"unix:{path}")


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data.sock").write_text("precious")
    with pytest.raises(ListenError, match="there is a file that is no socket"):
        listen(f"unix:{tmp_path}/data.sock")
    assert (tmp_path / "data.sock").read_text() == "precious"


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="no such file or directory"):
        listen(f"unix:{tmp_path}/missing/data.sock")
