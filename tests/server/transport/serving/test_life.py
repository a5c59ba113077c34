"""Where a server listens, and which connections it takes."""

import asyncio
from pathlib import Path

import pytest

from server.status_code import Code
from server.transport.serving.call import ServerCall
from server.transport.sockets.listen import ListenError
from tests.server.transport.serving.by_socket import accepted, server
from tests.server.transport.serving.raw_caller import (
    calling,
    serving,
    soon,
)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "[::1]:0"])
async def test_a_server_listens_on_a_free_port(address: str) -> None:
    made = server(ended=asyncio.Event())
    try:
        bound = await made.listen(address)
        assert bound.rpartition(":")[0] == address.rpartition(":")[0]
        assert bound.rpartition(":")[2] != "0"
        async with calling(bound) as caller:
            assert (await caller.call("Echo")).status == Code.OK
    finally:
        await made.stop(0)


async def test_a_server_listens_on_a_unix_socket_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "data.sock"
    seen: list[str] = []

    async def servicer(request: bytes, context: ServerCall) -> bytes:
        seen.append(context.peer())
        return request

    made = server(servicer, ended=asyncio.Event())
    try:
        assert await made.listen(f"unix:{path}") == f"unix:{path}"
        async with calling(f"unix:{path}") as caller:
            assert (await caller.call("Echo")).status == Code.OK
    finally:
        await made.stop(0)
    assert seen == ["unix:"]
    assert not path.exists()


async def test_an_address_that_is_taken_cannot_be_listened_on() -> None:
    async with serving() as (_, address):
        with pytest.raises(ListenError, match="address already in use"):
            await server(ended=asyncio.Event()).listen(address)


async def test_a_connection_that_somebody_else_accepted_is_served_and_its_end_is_told() -> None:
    ended = asyncio.Event()
    made = server(ended=ended)
    ours = await accepted(made)
    async with calling(ours) as caller:
        assert (await caller.call("Echo")).status == Code.OK
        assert made.connections == 1
        assert not ended.is_set()
    await soon(ended.wait())
    assert made.connections == 0
