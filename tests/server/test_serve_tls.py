"""TLS of `turnout serve`, on both transports, with grpcio as the caller."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from server.transport.sockets.tls import TlsFiles
from tests.server.certificates import Authority, caller_credentials
from tests.server.running import REQUEST, Echo, Service, answering, serving, write_config
from turnout.v1 import admin_pb2, admin_pb2_grpc, routing_pb2, routing_pb2_grpc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CALL_S = 60.0
TRANSPORTS = pytest.mark.parametrize("transport", ["turnout", "grpcio"])


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    async with answering() as endpoint:
        yield endpoint


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    return authority.issue("server", "localhost")


def configured(folder: Path, endpoint: str, files: TlsFiles, **listeners: object) -> Path:
    tls = {key: file for key, file in files._asdict().items() if file is not None}
    listeners = {"data": "localhost:0", **listeners, "tls": tls}
    return write_config(folder, endpoint, listeners=listeners)


async def asked(
    service: Service, credentials: grpc.ChannelCredentials
) -> routing_pb2.InferResponse:
    """On a connection of its own."""
    alone = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.secure_channel(service.data, credentials, alone) as channel:
        stub = routing_pb2_grpc.RoutingServiceStub(channel)
        return await stub.Infer(routing_pb2.InferRequest(oip_request=REQUEST), timeout=CALL_S)


@TRANSPORTS
async def test_only_callers_with_tls_are_answered(
    echo: tuple[Echo, str], tmp_path: Path, authority: Authority, files: TlsFiles, transport: str
) -> None:
    path = configured(tmp_path, echo[1], files)
    async with serving(path, tmp_path / "state", "--transport", transport) as service:
        assert (await asked(service, caller_credentials(authority))).target.model == "small"
        async with grpc.aio.insecure_channel(service.data) as channel:
            stub = routing_pb2_grpc.RoutingServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.Route(routing_pb2.RouteRequest(), timeout=CALL_S)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


@TRANSPORTS
async def test_callers_have_to_show_a_certificate_of_the_authority_that_is_named(
    echo: tuple[Echo, str], tmp_path: Path, authority: Authority, files: TlsFiles, transport: str
) -> None:
    callers = Authority(tmp_path, "callers")
    path = configured(tmp_path, echo[1], files._replace(client_ca_file=str(callers.file)))
    async with serving(path, tmp_path / "state", "--transport", transport) as service:
        shown = caller_credentials(authority, callers.issue("caller", "team-a"))
        assert (await asked(service, shown)).target.model == "small"
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await asked(service, caller_credentials(authority))
        other = caller_credentials(authority, authority.issue("other", "team-a"))
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await asked(service, other)


@TRANSPORTS
async def test_a_new_certificate_is_used_without_a_restart(
    echo: tuple[Echo, str], tmp_path: Path, authority: Authority, files: TlsFiles, transport: str
) -> None:
    path = configured(tmp_path, echo[1], files)
    async with serving(path, tmp_path / "state", "--transport", transport) as service:
        before = await shown(service)
        authority.issue("server", "localhost")
        if transport == "turnout":  # grpcio looks at the files at each handshake
            await service.read_until("certificates read again")
        assert await shown(service) != before
        assert (await asked(service, caller_credentials(authority))).target.model == "small"


async def test_a_bad_certificate_is_logged_and_the_old_one_stays(
    echo: tuple[Echo, str], tmp_path: Path, authority: Authority, files: TlsFiles
) -> None:
    path = configured(tmp_path, echo[1], files)
    async with serving(path, tmp_path / "state", "--transport", "turnout") as service:
        before = await shown(service)
        await asyncio.to_thread(Path(files.cert_file).write_text, "half a certificate")
        entry = await service.read_until("new certificates cannot be used, the old ones stay")
        assert entry["error"] == "cert_file holds no certificate that can be used: PEM is needed"
        assert await shown(service) == before
        assert (await asked(service, caller_credentials(authority))).target.model == "small"


async def test_operators_on_tcp_speak_tls_and_show_the_token_alone(
    echo: tuple[Echo, str], tmp_path: Path, authority: Authority, files: TlsFiles
) -> None:
    token = "0123456789abcdef" * 4
    await asyncio.to_thread((tmp_path / "token").write_text, token)
    callers = Authority(tmp_path, "callers")
    path = configured(
        tmp_path,
        echo[1],
        files._replace(client_ca_file=str(callers.file)),
        admin="localhost:0",
        admin_token_file=str(tmp_path / "token"),
    )
    async with (
        serving(path, tmp_path / "state", "--transport", "turnout") as service,
        grpc.aio.secure_channel(admin_of(service), caller_credentials(authority)) as channel,
    ):
        answer = await admin_pb2_grpc.AdminServiceStub(channel).GetServerInfo(
            admin_pb2.GetServerInfoRequest(),
            timeout=CALL_S,
            metadata=(("authorization", f"Bearer {token}"),),
        )
    assert answer.version


def admin_of(service: Service) -> str:
    """Where it has said that it serves operators, in the line that it was waited for."""
    return str(json.loads(service.lines[-1])["admin"])


async def test_files_that_cannot_be_used_are_told_by_check_and_start_nothing(
    tmp_path: Path, files: TlsFiles
) -> None:
    path = configured(tmp_path, "127.0.0.1:1", files._replace(key_file="/nowhere/key.pem"))
    text = await asyncio.to_thread(path.read_text)
    line = text[: text.index("key_file")].count("\n") + 1
    expected = f"{path}:{line}: listeners.tls.key_file: cannot be read: No such file or directory"
    assert expected in await output_of("check", str(path))
    assert expected in await output_of("serve", str(path))
    assert not (tmp_path / "state").exists()


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.cli", *command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 1
    return output.decode()


async def shown(service: Service) -> str:
    """The certificate that a new connection is shown."""
    port = int(service.data.rpartition(":")[2])
    return await asyncio.to_thread(ssl.get_server_certificate, ("localhost", port), timeout=CALL_S)
