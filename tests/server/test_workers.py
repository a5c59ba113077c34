"""`turnout serve --workers N` as a whole: real processes, of which some are killed."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import psutil
import pytest

from server.control.state_file import FILE_NAME, unpacked
from server.supervisor.watchdog import WORKER_SILENT_S
from tests.server.running import (
    REQUEST,
    Echo,
    Service,
    answering,
    infer,
    routing,
    serving,
    start,
    write_config,
)
from turnout.v1 import routing_pb2, routing_pb2_grpc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CALL_S = 60.0
OURS = ("--transport", "turnout")


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    async with answering() as endpoint:
        yield endpoint


@asynccontextmanager
async def connections(address: str, count: int) -> "AsyncIterator[list[grpc.aio.Channel]]":
    """Channels with a connection of their own each, made when they are first used."""
    alone = (("grpc.use_local_subchannel_pool", 1),)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, alone))
            for _ in range(count)
        ]


@asynccontextmanager
async def called(
    endpoint: str, folder: Path, *, workers: int, callers: int, **changes: object
) -> "AsyncIterator[tuple[Service, list[grpc.aio.Channel]]]":
    """A service with so many workers, and callers with a connection each."""
    path = write_config(folder, endpoint, **changes)
    async with (
        serving(path, folder / "state", *OURS, "--workers", str(workers)) as service,
        connections(service.data, callers) as channels,
    ):
        yield service, channels


async def asked(channel: grpc.aio.Channel) -> routing_pb2.InferResponse:
    stub = routing_pb2_grpc.RoutingServiceStub(channel)
    request = routing_pb2.InferRequest(oip_request=REQUEST)
    return await stub.Infer(request, wait_for_ready=True, timeout=CALL_S)


async def decided(service: Service, total: int) -> list[int]:
    """Requests that each worker has decided, once all of them are told."""
    async with asyncio.timeout(CALL_S):
        while True:
            counts = [worker.decided for worker in (await service.info()).workers]
            if sum(counts) >= total:
                return counts
            await asyncio.sleep(0.1)


async def test_connections_are_spread_evenly_over_the_workers(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    async with called(echo[1], tmp_path, workers=4, callers=16) as (service, channels):
        busiest = {}
        for count, channel in enumerate(channels, start=1):
            await asked(channel)
            if count in (1, 2, 4, 16):
                busiest[count] = max(await decided(service, count))
        assert busiest == {1: 1, 2: 1, 4: 1, 16: 4}
        workers = (await service.info()).workers
        assert sorted(worker.name for worker in workers) == [f"worker-{i}" for i in range(4)]


async def test_a_killed_worker_fails_only_its_own_calls_and_is_replaced(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    async with called(echo[1], tmp_path, workers=3, callers=6) as (service, channels):
        await asyncio.gather(*map(asked, channels))  # two connections a worker
        echo[0].hold(6)
        calls = [asyncio.create_task(asked(channel)) for channel in channels]
        await echo[0].reached.wait()
        killed = service.children("server.app.worker")[0]
        os.kill(killed, signal.SIGKILL)
        await service.read_until("process died")
        echo[0].open.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert [error.code() for error in errors] == 2 * [grpc.StatusCode.UNAVAILABLE]
        assert (await asyncio.gather(*map(asked, channels)))[0].target.model == "small"
        async with asyncio.timeout(CALL_S):
            while len(service.children("server.app.worker")) < 3:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
        assert killed not in service.children("server.app.worker")


async def test_a_worker_that_hangs_fails_only_its_own_calls_and_is_replaced(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    async with called(echo[1], tmp_path, workers=2, callers=4) as (service, channels):
        await asyncio.gather(*map(asked, channels))  # two connections a worker
        hung, well = service.children("server.app.worker")
        os.kill(hung, signal.SIGSTOP)
        calls = [asyncio.create_task(asked(channel)) for channel in channels]
        hangs = await service.read_until("process hangs")
        assert (hangs["state"], hangs["silent_s"]) == ("T", WORKER_SILENT_S)
        died = await service.read_until("process died")
        assert (died["name"], died["status"]) == (hangs["name"], -signal.SIGKILL)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert [error.code() for error in errors] == 2 * [grpc.StatusCode.UNAVAILABLE]
        assert (await asyncio.gather(*map(asked, channels)))[0].target.model == "small"
        assert well in service.children("server.app.worker")


async def test_a_worker_that_hangs_while_it_drains_holds_the_drain_up_no_longer_than_another(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    path = write_config(tmp_path, echo[1])
    async with serving(path, tmp_path / "state", *OURS, "--workers", "2") as service:
        os.kill(service.children("server.app.worker")[0], signal.SIGSTOP)
        service.process.send_signal(signal.SIGTERM)
        await service.read_until("process hangs")
        async with asyncio.timeout(CALL_S):
            assert await service.process.wait() == 0


async def test_callers_wait_for_the_only_worker_while_it_is_replaced(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    async with serving(write_config(tmp_path, echo[1]), tmp_path / "state", *OURS) as service:
        (worker,) = service.children("server.app.worker")
        os.kill(worker, signal.SIGKILL)
        await service.read_until("process died")
        async with connections(service.data, 1) as (channel,):
            assert (await asked(channel)).target.model == "small"


async def test_a_drain_loses_no_call_of_any_connection_and_counts_them_all(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    budget = {"name": "all", "amount_usd": 10, "period": "month"}
    async with called(
        echo[1], tmp_path, workers=3, callers=12, budgets=[budget], window_s=3600
    ) as (service, channels):
        echo[0].hold(24)
        calls = [asyncio.create_task(asked(channel)) for channel in channels for _ in range(2)]
        await echo[0].reached.wait()
        service.process.send_signal(signal.SIGTERM)
        await service.read_until("draining")
        echo[0].open.set()
        assert {answer.target.model for answer in await asyncio.gather(*calls)} == {"small"}
        assert await service.process.wait() == 0
    # 24 at a thousandth of a dollar each: what every worker counted has reached the books.
    kept = unpacked((tmp_path / "state" / FILE_NAME).read_bytes()).plain
    assert kept["spending"]["budgets"]["all"]["nano_usd"] == 24_000_000


async def test_idle_connections_do_not_hold_up_a_drain(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    async with called(echo[1], tmp_path, workers=2, callers=4) as (service, channels):
        await asyncio.gather(*map(asked, channels))
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):  # a drain may take 30
            assert await service.process.wait() == 0


async def test_a_worker_that_is_told_to_stop_is_replaced_and_loses_no_call(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    async with called(echo[1], tmp_path, workers=2, callers=4) as (service, channels):
        echo[0].hold(4)
        calls = [asyncio.create_task(asked(channel)) for channel in channels]
        await echo[0].reached.wait()
        os.kill(service.children("server.app.worker")[0], signal.SIGTERM)
        echo[0].open.set()
        assert {answer.target.model for answer in await asyncio.gather(*calls)} == {"small"}
        await service.read_until("process died")
        assert (await asyncio.gather(*map(asked, channels)))[0].target.model == "small"


async def chat_reader(service: Service) -> psutil.Process:
    """The process that the only worker reads large chats by, once it has read one."""
    body = b'{"messages": [{"role": "user", "content": "%s"}]}' % (200 * 2**10 * b"x")
    async with routing(service.data) as stub:
        answer = await stub.Route(
            routing_pb2.RouteRequest(openai_chat=body), wait_for_ready=True, timeout=CALL_S
        )
    assert answer.target.model == "talks"
    (worker,) = service.children("server.app.worker")
    (reader,) = psutil.Process(worker).children()
    assert "server.app.chat_reader" in reader.cmdline()
    return reader


def talking() -> dict[str, object]:
    model = {"name": "talks", "protocol": "openai", "endpoints": ["127.0.0.1:1"]}
    return {"models": [{**model, "price": {"request_usd": 0.001}, "prior_accuracy": 0.9}]}


async def test_a_worker_that_is_killed_leaves_no_process_that_reads_chats(tmp_path: Path) -> None:
    path = write_config(tmp_path, "", **talking())
    async with serving(path, tmp_path / "state", *OURS) as service:
        reader = await chat_reader(service)
        os.kill(service.children("server.app.worker")[0], signal.SIGKILL)
        await asyncio.to_thread(reader.wait, CALL_S)
        await service.read_until("process died")
        assert await chat_reader(service) != reader


async def test_a_drain_ends_the_process_that_reads_chats(tmp_path: Path) -> None:
    path = write_config(tmp_path, "", **talking())
    async with serving(path, tmp_path / "state", *OURS) as service:
        reader = await chat_reader(service)
        service.process.send_signal(signal.SIGTERM)
        assert await service.process.wait() == 0
        assert not reader.is_running()


@pytest.mark.parametrize("transport", ["turnout", "grpcio"])
async def test_a_unix_socket_serves_and_one_that_was_left_behind_is_replaced(
    echo: tuple[Echo, str], tmp_path: Path, transport: str
) -> None:
    path = write_config(tmp_path, echo[1], listeners={"data": f"unix:{tmp_path}/data.sock"})
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/data.sock")
        left.listen()
    options = ("--transport", transport)
    async with serving(path, tmp_path / "state", *options) as service:
        assert service.data == f"unix:{tmp_path}/data.sock"
        assert (await infer(service.data)).target.model == "small"
    assert not (tmp_path / "data.sock").exists()


async def test_a_second_instance_is_told_that_the_unix_socket_is_taken(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    listeners = {"data": f"unix:{tmp_path}/data.sock"}
    path = write_config(tmp_path, echo[1], listeners=listeners)
    async with serving(path, tmp_path / "state", *OURS) as service:
        other = write_config(tmp_path / "second", echo[1], listeners=listeners)
        second = (await start(other, tmp_path / "second" / "state", *OURS)).process
        _, errors = await second.communicate()
        assert second.returncode == 1
        told = errors.decode()
        assert f"unix:{tmp_path}/data.sock: address already in use by process " in told
        assert "stop " in told
        assert (await infer(service.data)).target.model == "small"


@pytest.mark.parametrize("transport", ["turnout", "grpcio"])
async def test_ipv6_is_served(echo: tuple[Echo, str], tmp_path: Path, transport: str) -> None:
    path = write_config(tmp_path, echo[1], listeners={"data": "[::1]:0"})
    async with serving(path, tmp_path / "state", "--transport", transport) as service:
        assert service.data.startswith("[::1]:")
        assert (await infer(service.data)).target.model == "small"


async def test_several_workers_need_our_transport(tmp_path: Path) -> None:
    path = write_config(tmp_path, "127.0.0.1:1")
    options = ("--workers", "2", "--transport", "grpcio")
    process = (await start(path, tmp_path / "state", *options)).process
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "--workers 2 needs --transport turnout" in errors.decode()
    assert not (tmp_path / "state").exists()
