import os
from pathlib import Path

import grpc
import pytest

from server.app.settings import BindError, bind


async def test_a_port_that_was_free_is_told(tmp_path: Path) -> None:
    server = grpc.aio.server()
    address = bind(server, "127.0.0.1:0")
    assert address.startswith("127.0.0.1:")
    assert not address.endswith(":0")
    await server.stop(None)


async def test_an_address_that_somebody_took_meanwhile_is_told_in_words(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "admin.sock")
    with pytest.raises(BindError, match=r"admin.sock cannot be listened on"):
        bind(grpc.aio.server(), f"unix:{tmp_path}/admin.sock")
