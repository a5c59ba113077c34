"""Keys of `turnout serve`, with several workers and a control plane that is killed."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
import pytest

from server.control.key_keeper import read_ring
from tests.server.certificates import Authority, caller_credentials
from tests.server.openai_service import configured as door_configured
from tests.server.running import Service, answering, serving, write_config
from tests.server.test_serve_tls import configured
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import routing_pb2, routing_pb2_grpc
from turnout.v1.admin_pb2_grpc import AdminServiceStub

if TYPE_CHECKING:
    from turnout.v1.admin_pb2_grpc import AdminServiceAsyncStub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CALL_S = 60.0
WORKERS = 2


@contextlib.asynccontextmanager
async def admin(service: Service) -> "AsyncIterator[AdminServiceAsyncStub]":
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir}/admin.sock") as channel:
        yield AdminServiceStub(channel)


async def create(service: Service, **terms: object) -> pb.CreateKeyResponse:
    request = pb.CreateKeyRequest(key=pb.Key(tenant="team-a", **terms))  # type: ignore[arg-type] # each test says what it needs
    async with admin(service) as stub:
        return await stub.CreateKey(request, timeout=CALL_S, wait_for_ready=True)


async def revoke(service: Service, id_: str) -> pb.RevokeKeyResponse:
    async with admin(service) as stub:
        request = pb.RevokeKeyRequest(id=id_)
        return await stub.RevokeKey(request, timeout=CALL_S, wait_for_ready=True)


class Callers:
    """Connections of callers, one at each worker."""

    def __init__(self, address: str) -> None:
        alone = (("grpc.use_local_subchannel_pool", 1),)
        self._channels = [grpc.aio.insecure_channel(address, alone) for _ in range(WORKERS)]

    async def ask(self, secret: str = "") -> list[str]:
        """What each worker says to who shows this: nothing, or the reason of a refusal."""
        return [await self._ask(channel, secret) for channel in self._channels]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def _ask(self, channel: grpc.aio.Channel, secret: str) -> str:
        stub = routing_pb2_grpc.RoutingServiceStub(channel)
        metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
        request = routing_pb2.RouteRequest()
        try:
            await stub.Route(request, timeout=CALL_S, metadata=metadata, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return ""


@contextlib.asynccontextmanager
async def asking(service: Service) -> "AsyncIterator[Callers]":
    """Connections are handed to the worker that holds the fewest: so each has one."""
    callers = Callers(service.data)
    try:
        await callers.ask()
        async with asyncio.timeout(CALL_S):
            while await held(service) != WORKERS * [1]:  # noqa: ASYNC110 - workers tell in their own time
                await asyncio.sleep(0.05)
        yield callers
    finally:
        await callers.close()


async def held(service: Service) -> list[int]:
    """How many connections each worker holds, as far as it has told."""
    return [worker.connections for worker in (await service.info()).workers]


def served(answers: list[str]) -> list[bool]:
    return [not answer for answer in answers]


async def test_a_key_holds_at_every_worker_when_it_is_answered_and_revoked_at_none(
    tmp_path: Path,
) -> None:
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint, callers={"anonymous": False})
        options = ("--workers", str(WORKERS))
        async with (
            serving(path, tmp_path / "state", *options) as service,
            asking(service) as callers,
        ):
            assert all("a key is needed" in answer for answer in await callers.ask())
            kept = [await create(service) for _ in range(2)]
            assert [list(one.behind) for one in kept] == [[], []]
            for one in kept:
                assert served(await callers.ask(one.secret)) == [True, True]
            assert list((await revoke(service, kept[0].key.id)).behind) == []
            assert served(await callers.ask(kept[0].secret)) == [False, False]
            assert served(await callers.ask(kept[1].secret)) == [True, True]


async def test_what_was_revoked_is_refused_through_kills_of_every_process(tmp_path: Path) -> None:
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint, callers={"anonymous": False})
        options = ("--workers", str(WORKERS))
        async with (
            serving(path, tmp_path / "state", *options) as service,
            asking(service) as callers,
        ):
            gone, stays = [await create(service) for _ in range(2)]
            await revoke(service, gone.key.id)
            (control,) = service.children("server.app.control")
            os.kill(control, signal.SIGKILL)
            # While it is away, and when it is back.
            assert served(await callers.ask(gone.secret)) == [False, False]
            assert served(await callers.ask(stays.secret)) == [True, True]
            await service.read_until("process died")
            await create(service)
            for worker in service.children("server.app.worker"):
                os.kill(worker, signal.SIGKILL)
                await service.read_until("process died")
            assert served(await callers.ask(gone.secret)) == [False, False]
            assert served(await callers.ask(stays.secret)) == [True, True]
        async with (  # the keys outlive the service too
            serving(path, tmp_path / "state", *options) as service,
            asking(service) as callers,
        ):
            assert served(await callers.ask(gone.secret)) == [False, False]
            assert served(await callers.ask(stays.secret)) == [True, True]


async def test_a_revocation_that_no_answer_came_for_holds_where_it_is_kept(tmp_path: Path) -> None:
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint)
        async with serving(path, tmp_path / "state") as service:
            made = [await create(service) for _ in range(30)]
            calls = [asyncio.ensure_future(revoke(service, one.key.id)) for one in made]
            await calls[0]
            (control,) = service.children("server.app.control")
            os.kill(control, signal.SIGKILL)
            done = await asyncio.gather(*calls, return_exceptions=True)
            answered = {
                one.key.id
                for one, found in zip(made, done, strict=True)
                if isinstance(found, pb.RevokeKeyResponse)
            }
            ring = read_ring(tmp_path / "state/keys.json")
            assert ring is not None
            kept = {record.id for record in ring.records if record.revoked_s is not None}
            assert answered
            assert answered <= kept
            await service.read_until("process died")
            async with admin(service) as stub:
                found = await stub.ListKeys(
                    pb.ListKeysRequest(), timeout=CALL_S, wait_for_ready=True
                )
            assert {key.id for key in found.keys if key.HasField("revoked")} == kept


async def test_a_damaged_file_of_keys_is_named_and_none_of_them_holds(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint)
        async with serving(path, state) as service:
            made = await create(service)
        (state / "keys.json").write_bytes(b"{")
        async with serving(path, state, "--workers", str(WORKERS)) as service:
            assert any("the keys are lost" in line for line in service.lines)
            async with asking(service) as callers:
                assert served(await callers.ask(made.secret)) == [False, False]
                assert served(await callers.ask((await create(service)).secret)) == [True, True]


@pytest.mark.parametrize("transport", ["turnout", "grpcio"])
async def test_a_certificate_is_its_tenants_and_a_key_beside_it_has_to_be_of_the_same(
    tmp_path: Path, transport: str
) -> None:
    ours, callers = Authority(tmp_path), Authority(tmp_path, "callers")
    files = ours.issue("server", "localhost")._replace(client_ca_file=str(callers.file))
    async with answering() as (_, endpoint):
        path = configured(tmp_path, endpoint, files)
        path.write_text(
            path.read_text() + "callers: {tenants_by_certificate: {a.example: team-b}}\n"
        )
        async with serving(path, tmp_path / "state", "--transport", transport) as service:
            key = (await create(service)).secret
            bound = caller_credentials(ours, callers.issue("a", "a.example"))
            other = caller_credentials(ours, callers.issue("b", "b.example"))
            assert await asked(service, bound, tenant="team-b") == ""
            assert "the caller is tenant 'team-b'" in await asked(service, bound, tenant="team-c")
            assert "of two tenants" in await asked(service, bound, secret=key)
            assert await asked(service, other, secret=key, tenant="team-a") == ""
            assert await asked(service, other, tenant="team-c") == ""
            assert "known by its keys" in await asked(service, other, tenant="team-b")


async def asked(
    service: Service, credentials: grpc.ChannelCredentials, *, secret: str = "", tenant: str = ""
) -> str:
    alone = (("grpc.use_local_subchannel_pool", 1),)
    metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
    async with grpc.aio.secure_channel(service.data, credentials, alone) as channel:
        stub = routing_pb2_grpc.RoutingServiceStub(channel)
        request = routing_pb2.RouteRequest(context=routing_pb2.RequestContext(tenant=tenant))
        try:
            await stub.Route(request, timeout=CALL_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
    return ""


async def test_a_data_key_opens_no_admin_and_an_admin_token_no_data(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(token := 64 * "a")
    listeners = {
        "data": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "admin_token_file": str(token_file),
    }
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint, listeners=listeners, callers={"anonymous": False})
        async with serving(path, tmp_path / "state") as service:
            address = json.loads(service.lines[-1])["admin"]
            async with grpc.aio.insecure_channel(address) as channel:
                stub = AdminServiceStub(channel)
                request = pb.CreateKeyRequest(key=pb.Key(tenant="team-a"))
                metadata = (("authorization", f"Bearer {token}"),)
                made = await stub.CreateKey(request, metadata=metadata, timeout=CALL_S)
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await stub.ListKeys(
                        pb.ListKeysRequest(),
                        metadata=(("authorization", f"Bearer {made.secret}"),),
                        timeout=CALL_S,
                    )
                assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
            async with grpc.aio.insecure_channel(service.data) as channel:
                data = routing_pb2_grpc.RoutingServiceStub(channel)
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await data.Route(routing_pb2.RouteRequest(), metadata=metadata, timeout=CALL_S)
                assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def models_status(service: Service, secret: str) -> int:
    """What the door for OpenAI clients says to who shows this, or nothing."""
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{service.openai}/v1/models", headers=headers) as response,
    ):
        return response.status


async def test_a_key_opens_both_doors_and_revoked_none(tmp_path: Path) -> None:
    path = door_configured(tmp_path)
    path.write_text(path.read_text() + "callers: {anonymous: false}\n")
    async with (
        serving(path, tmp_path / "state", "--workers", str(WORKERS)) as service,
        asking(service) as callers,
    ):
        assert await models_status(service, "") == 401
        made = await create(service)
        assert await models_status(service, made.secret) == 200
        assert served(await callers.ask(made.secret)) == [True, True]
        await revoke(service, made.key.id)
        assert await models_status(service, made.secret) == 401
        assert served(await callers.ask(made.secret)) == [False, False]


async def test_at_the_door_a_certificate_does_where_it_is_bound_to_a_tenant(
    tmp_path: Path,
) -> None:
    ours, callers = Authority(tmp_path), Authority(tmp_path, "callers")
    files = ours.issue("server", "localhost")._replace(client_ca_file=str(callers.file))
    path = door_configured(
        tmp_path, data="localhost:0", openai="localhost:0", tls=dict(files._asdict())
    )
    bound = "callers: {anonymous: false, tenants_by_certificate: {a.example: team-b}}\n"
    path.write_text(path.read_text() + bound)
    async with serving(path, tmp_path / "state") as service:
        said = []
        for name in ("a", "b"):
            shown = callers.issue(name, f"{name}.example")
            context = ssl.create_default_context(cafile=ours.file)
            context.load_cert_chain(shown.cert_file, shown.key_file)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"https://{service.openai}/v1/models", ssl=context) as response,
            ):
                said.append(response.status)
        assert said == [200, 401]


async def test_no_key_is_in_a_log_or_in_a_file(tmp_path: Path) -> None:
    state = tmp_path / "state"
    path = door_configured(tmp_path)
    async with serving(path, state) as service:
        good, limited = await create(service), await create(service, requests_per_minute=1)
        callers = Callers(service.data)
        secrets = [good.secret, limited.secret, f"{good.secret[:-1]}.", f"{good.secret[:-2]}zz"]
        for secret in secrets + secrets:
            await callers.ask(secret)
            await models_status(service, secret)
        await callers.close()
        async with admin(service) as stub:
            rotated = await stub.RotateKey(pb.RotateKeyRequest(id=good.key.id), timeout=CALL_S)
        await revoke(service, limited.key.id)
        service.process.terminate()
        stderr = service.process.stderr
        assert stderr is not None
        logged = "".join(service.lines) + (await stderr.read()).decode()
    kept = b"".join(file.read_bytes() for file in state.iterdir() if file.is_file())
    assert good.key.id in logged
    assert good.key.id.encode() in kept
    for secret in (*secrets, rotated.secret):
        unguessable = secret.split("_", 2)[2][:30]
        assert unguessable not in logged
        assert unguessable.encode() not in kept
