import os
import socket
import sys
from pathlib import Path

import pytest

from benchmarks.demo.port import refuse_taken
from benchmarks.demo.processes import StartError


def test_a_port_that_is_taken_is_refused_with_who_holds_it_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as refused:
            refuse_taken("127.0.0.1", port)
    said = str(refused.value)
    assert said.startswith(f"127.0.0.1:{port} is taken by process {os.getpid()}: ")
    assert Path(sys.executable).name in said  # its command
    assert "End it first" in said


def test_a_port_that_is_free_is_not_refused_nor_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    refuse_taken("127.0.0.1", port)
    refuse_taken("127.0.0.1", port)
