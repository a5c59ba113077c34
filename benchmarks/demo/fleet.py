"""The processes of the demo: one for each model, and Turnout in front of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc
from grpc_health.v1 import health_pb2

from benchmarks.demo.configuration import yaml_of
from benchmarks.demo.digits import Part
from benchmarks.demo.forks import Fork, Line, forked
from benchmarks.demo.models import Study
from benchmarks.demo.processes import ServerProcess, started
from server.config.schema import Config
from turnout.v1 import admin_pb2 as pb

if TYPE_CHECKING:  # the stubs know it, the generated code does not
    from turnout.v1.admin_pb2_grpc import AdminServiceAsyncStub

_LOOK_EVERY_S = 0.05
# Turnout is asked directly, whatever proxy the environment has for HTTP.
_DIRECT = (("grpc.enable_http_proxy", 0),)
_CALL_S = 1.0
_READY_S = 60.0  # for a machine with other things to do; two seconds otherwise

_Answer = TypeVar("_Answer")


async def trained(folder: Path) -> tuple[Study, Part]:
    """Trains all models and leaves them in the folder; answers what is known, and the held-out."""
    async with forked("training", _train_all, folder / "training.log", folder) as training:
        found: tuple[Study, Part] = await training.said()
        return found


class ModelServers:
    """One process a model. They start side by side, and end when the stack does."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._forks: dict[str, Fork] = {}

    async def started(self, names: Sequence[str]) -> dict[str, int]:
        """The port of each, when all serve."""
        for name in names:
            await self.start(name)
        return {name: await self.port_of(name) for name in names}

    async def start(
        self, name: str, port: int = 0, *, trained_as: str = "", busy_s: float = 0.0
    ) -> None:
        """Of a trained model. Does not wait until it serves: `port_of` does."""
        model = trained_as or name
        log, file = self._folder / f"{name}.log", self._folder / model
        serving = forked(name, _serve_model, log, model, file, port, busy_s)
        self._forks[name] = await self._stack.enter_async_context(serving)

    async def port_of(self, name: str) -> int:
        """Once, when it serves."""
        return int(await self._forks[name].said())

    def kill(self, name: str) -> None:
        """As a crash would: nothing is drained, nothing is said."""
        self._forks[name].kill()

    async def stop(self, name: str) -> None:
        await self._forks[name].stop()


def _train_all(line: Line, folder: Path) -> None:
    from benchmarks.demo.training import train_all  # in the fork, not in the demo

    train_all(line, folder)


def _serve_model(line: Line, name: str, file: Path, port: int, busy_s: float) -> None:
    from benchmarks.demo.model_server import serve_model  # likewise

    serve_model(line, name, file, port, busy_s)


@asynccontextmanager
async def turnout_started(config: Config, folder: Path) -> AsyncIterator[ServerProcess]:
    """`turnout serve` with this configuration, drained in the end."""
    file = folder / "turnout.yaml"
    file.write_text(yaml_of(config))
    async with started("turnout", ["server.cli", "serve", str(file)], folder) as process:
        yield process


async def data_address(turnout: ServerProcess, admin: "AdminServiceAsyncStub") -> str:
    """Where it takes requests, as soon as it says so."""

    async def ask() -> str:
        response = await admin.GetServerInfo(pb.GetServerInfoRequest(), timeout=_CALL_S)
        return response.data_address

    return await _first(ask, turnout)


async def wait_until_serving(turnout: ServerProcess, address: str) -> None:
    """As any load balancer would find out: by the health protocol."""
    async with grpc.aio.insecure_channel(address, _DIRECT) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

        async def ask() -> bool:
            response = await check(health_pb2.HealthCheckRequest(), timeout=_CALL_S)
            return response.status == health_pb2.HealthCheckResponse.SERVING

        await _first(ask, turnout)


async def _first(ask: Callable[[], Awaitable[_Answer]], turnout: ServerProcess) -> _Answer:
    """Asks until the answer says something; raises StartError when none comes."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _READY_S
    while not turnout.ended and loop.time() < until_s:
        with contextlib.suppress(grpc.aio.AioRpcError):
            if answer := await ask():
                return answer
        await asyncio.sleep(_LOOK_EVERY_S)
    raise turnout.start_error()
