"""The door of `turnout serve` for OpenAI clients: real processes, of which one is killed."""

import asyncio
import os
import signal
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.server.certificates import Authority
from tests.server.openai_service import configured
from tests.server.running import Service, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PATIENCE_S = 60.0


async def models_of(service: Service, session: aiohttp.ClientSession) -> list[str]:
    async with session.get(f"http://{service.openai}/v1/models") as response:
        return [one["id"] for one in (await response.json())["data"]]


async def connections(service: Service, total: int) -> list[int]:
    """That each worker holds, once there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            held = [worker.connections for worker in (await service.info()).workers]
            if sum(held) >= total:
                return held
            await asyncio.sleep(0.1)


async def test_connections_are_spread_over_the_workers_and_outlive_a_killed_one(
    tmp_path: Path,
) -> None:
    path = configured(tmp_path)
    async with serving(path, tmp_path / "state", "--workers", "2") as service:
        sessions = [aiohttp.ClientSession() for _ in range(4)]
        for session in sessions:
            assert await models_of(service, session) == ["auto", "all", "support"]
        assert await connections(service, 4) == [2, 2]
        os.kill(service.children("server.app.worker")[0], signal.SIGKILL)
        await service.read_until("process died")
        for session in sessions:  # a new connection where the old one died
            assert len(await models_of(service, session)) == 3
        for session in sessions:
            await session.close()


async def test_grpcio_serves_gRPC_and_the_door_is_served_beside_it(  # noqa: N802 - its name
    tmp_path: Path,
) -> None:
    path = configured(tmp_path)
    async with (
        serving(path, tmp_path / "state", "--transport", "grpcio") as service,
        aiohttp.ClientSession() as session,
    ):
        assert await models_of(service, session) == ["auto", "all", "support"]


async def test_without_an_address_there_is_no_door(tmp_path: Path) -> None:
    path = configured(tmp_path, openai=None)
    async with serving(path, tmp_path / "state") as service:
        assert service.openai == ""


async def test_the_door_speaks_tls_where_it_is_configured(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", "localhost")
    tls = {"cert_file": files.cert_file, "key_file": files.key_file}
    path = configured(tmp_path, openai="localhost:0", tls=tls)
    trusted = ssl.create_default_context(cafile=authority.file)
    async with (
        serving(path, tmp_path / "state") as service,
        aiohttp.ClientSession() as session,
    ):
        url = f"https://{service.openai}/v1/models"
        async with session.get(url, ssl=trusted) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await session.get(url.replace("https", "http"))
