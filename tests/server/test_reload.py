"""Another configuration while `turnout serve` runs: real processes, real signals, real load."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.server.running import REQUEST, Service, answering, serving, write_config
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TIMES = 10
CALL_S = 60.0
WORKERS = ("--workers", "2")


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    async with answering() as (_, address):
        yield address


def model(name: str, version: str, endpoint: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "protocol": "oip",
        "endpoints": [endpoint],
        "price": {"request_usd": 0.001},
        "prior_accuracy": 0.9,
        "prior_grades": 1_000,
    }


def east(endpoint: str) -> dict[str, object]:
    """Two models, of which `both` comes first."""
    return {
        "models": [model("both", "east", endpoint), model("a", "east", endpoint)],
        "classes": [{"name": "east", "default": True}],
        "budgets": [{"name": "money-east", "amount_usd": 5, "period": "day"}],
    }


def west(endpoint: str) -> dict[str, object]:
    """`both` is another one here, in another place; nothing else is what it was."""
    return {
        "models": [model("b", "west", endpoint), model("both", "west", endpoint)],
        "classes": [{"name": "west", "default": True}],
        "domains": [{"name": "law", "match": {"keywords": {"any_of": ["clause"]}}}],
    }


def sides_of(cell: pb.Cell, targets: Iterable[pb.Target]) -> set[str]:
    """The configurations that a decision is of."""
    of_payer = "east" if cell.payer == "money-east" else "west"
    return {cell.traffic_class, of_payer, *(target.version for target in targets)}


class Load:
    """Callers who ask again at once, until they are told to stop; a failure ends them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._is_over = False
        self.seen: list[str] = []  # the configuration of each decision
        self.mixed: list[object] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            callers = (self._routes, self._infers, self._batches) * 2
            tasks = [group.create_task(self._calls(caller)) for caller in callers]
        assert all(task.done() for task in tasks)

    def stop(self) -> None:
        self._is_over = True

    async def _calls(self, caller: Any) -> None:
        alone = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(self._address, alone) as channel:
            stub = routing_pb2_grpc.RoutingServiceStub(channel)
            while not self._is_over:
                await caller(stub)

    async def _routes(self, stub: Any) -> None:
        features = pb.Features(input_tokens=5)
        answer = await stub.Route(pb.RouteRequest(features=features), timeout=CALL_S)
        self._look(answer, answer.cell, [answer.target, *answer.fallbacks])
        usage = pb.Usage(input_tokens=5, output_tokens=5)
        usage.latency.FromMilliseconds(20)
        outcome = pb.Outcome(decision_id=answer.decision_id, usage=usage)
        reported = await stub.Report(pb.ReportRequest(outcomes=[outcome]), timeout=CALL_S)
        assert [result.reason for result in reported.results] == [""]

    async def _infers(self, stub: Any) -> None:
        answer = await stub.Infer(pb.InferRequest(oip_request=REQUEST), timeout=CALL_S)
        self._look(answer, answer.cell, [answer.target])

    async def _batches(self, stub: Any) -> None:
        one = pb.RouteRequest(features=pb.Features(input_tokens=5))
        answer = await stub.RouteBatch(pb.RouteBatchRequest(requests=3_000 * [one]), timeout=CALL_S)
        assert not any(result.HasField("refusal") for result in answer.results)
        for route in answer.routes:
            self._look(route, route.cell, [route.target, *route.fallbacks])

    def _look(self, answer: object, cell: pb.Cell, targets: Iterable[pb.Target]) -> None:
        sides = sides_of(cell, targets)
        self.seen.append(cell.traffic_class)
        if len(sides) != 1:
            self.mixed.append(answer)


async def test_no_call_fails_and_none_is_decided_by_half_of_a_configuration(
    endpoint: str, tmp_path: Path
) -> None:
    path = write_config(tmp_path, endpoint, **east(endpoint))
    async with serving(path, tmp_path / "state", *WORKERS) as service:
        load = Load(service.data)
        loading = asyncio.create_task(load.run())
        for time in range(TIMES):
            write_config(tmp_path, endpoint, **(east if time % 2 else west)(endpoint))
            service.process.send_signal(signal.SIGHUP)
            await service.read_until("configuration reloaded")
            await _until_seen(load, "east" if time % 2 else "west", loading)
        load.stop()
        await loading
        assert load.mixed == []
        service.process.terminate()
        assert await service.process.wait() == 0
    assert not any("process died" in line for line in service.lines)


async def _until_seen(load: Load, side: str, loading: "asyncio.Task[None]") -> None:
    """Callers go on until decisions are of that configuration alone."""
    async with asyncio.timeout(CALL_S):
        while set(load.seen[-200:]) != {side}:
            assert not loading.done(), loading.result()
            load.seen = load.seen[-200:]
            await asyncio.sleep(0.05)


async def command(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def test_the_command_returns_when_every_worker_has_followed(
    endpoint: str, tmp_path: Path
) -> None:
    path = write_config(tmp_path, endpoint, **east(endpoint))
    (tmp_path / "west").mkdir()
    other = write_config(
        tmp_path / "west", endpoint, **west(endpoint), state_dir=str(tmp_path / "state")
    )
    async with serving(path, tmp_path / "state", *WORKERS) as service:
        status, out, _ = await command("reload", str(other))
        assert status == 0
        assert "  classes: west added" in out.splitlines()
        assert {cell.traffic_class for cell in await _cells(service, 8)} == {"west"}


async def _cells(service: Service, callers: int) -> list[pb.Cell]:
    """What each of so many connections is decided as."""
    alone = (("grpc.use_local_subchannel_pool", 1),)
    cells = []
    for _ in range(callers):
        async with grpc.aio.insecure_channel(service.data, alone) as channel:
            stub = routing_pb2_grpc.RoutingServiceStub(channel)
            answer = await stub.Route(pb.RouteRequest(), timeout=CALL_S)
            cells.append(answer.cell)
    return cells


async def test_a_control_plane_that_is_killed_at_a_reload_begins_it_again(
    endpoint: str, tmp_path: Path
) -> None:
    path = write_config(tmp_path, endpoint, **east(endpoint))
    async with serving(path, tmp_path / "state", *WORKERS) as service:
        for time in range(3):
            sides = (west, east) if time % 2 else (east, west)
            write_config(tmp_path, endpoint, **sides[1](endpoint))
            (control,) = service.children("server.app.control")
            service.process.send_signal(signal.SIGHUP)
            os.kill(control, signal.SIGKILL)
            await service.read_until("process died")
            decided = {cell.traffic_class for cell in await _cells(service, 2)}
            assert decided <= {"east", "west"}  # whole, whichever it is
            await service.read_until("configuration reloaded")


async def test_sighup_to_every_process_is_a_reload_and_no_outage(
    endpoint: str, tmp_path: Path
) -> None:
    """As systemctl kill sends it, unless it is told better."""
    path = write_config(tmp_path, endpoint, **east(endpoint))
    async with serving(path, tmp_path / "state", *WORKERS) as service:
        workers = service.children("server.app.worker")
        (control,) = service.children("server.app.control")
        write_config(tmp_path, endpoint, **west(endpoint))
        for process in (*workers, *_children(control), control, service.process.pid):
            os.kill(process, signal.SIGHUP)
        await service.read_until("configuration reloaded")
        assert len(await _cells(service, 2)) == 2
        assert set(service.children("server.app.worker")) == set(workers)
    assert not any("process died" in line for line in service.lines)


def _children(process: int) -> list[int]:
    return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]


async def test_a_bad_file_is_told_in_the_log_and_changes_nothing(
    endpoint: str, tmp_path: Path
) -> None:
    path = write_config(tmp_path, endpoint, **east(endpoint))
    async with serving(path, tmp_path / "state") as service:
        path.write_text(path.read_text() + "flor: 1\n")
        service.process.send_signal(signal.SIGHUP)
        refused = await service.read_until("configuration refused, the one in force stays")
        assert (refused["field"], refused["who"]) == ("flor", "SIGHUP")
        assert "unknown key" in str(refused["error"])
        assert {cell.traffic_class for cell in await _cells(service, 1)} == {"east"}
        write_config(tmp_path, endpoint, **east(endpoint), listeners={"data": "127.0.0.1:1"})
        status, _, error = await command("reload", str(path))
        assert status == 1
        assert "listeners.data: cannot change while the service runs" in error


async def test_a_service_on_a_terminal_ends_with_it(endpoint: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    path, log = write_config(tmp_path, endpoint), tmp_path / "log"
    # Of a session that has none, the first terminal that is opened is its own.
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$@" <"$TERMINAL" 2>"$LOG"', "sh"),
        *(sys.executable, "-m", "server.cli", "serve", str(path)),
        start_new_session=True,
        env={**os.environ, "TERMINAL": os.ttyname(theirs), "LOG": str(log)},
    )
    async with asyncio.timeout(CALL_S):
        while '"serving"' not in await asyncio.to_thread(_text, log):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.1)
        os.close(theirs)
        os.close(ours)  # the terminal is gone: the kernel sends SIGHUP
        assert await process.wait() == 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
