"""`turnout serve` as a process of its own, the endpoint behind it and callers before it."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import yaml

from server.wire import oip_pb2
from turnout.v1 import admin_pb2, admin_pb2_grpc, routing_pb2, routing_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
REQUEST = oip_pb2.ModelInferRequest(id="r1").SerializeToString()


class Echo:
    """An endpoint that answers with the model it was asked for, once `open` lets it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()  # by as many calls as were waited for
        self._awaited = 1
        self.is_down = False  # it refuses calls, and says that it is not ready

    def hold(self, calls: int) -> None:
        """Answers nobody until `open` is set; `reached` tells when so many calls wait."""
        self.open.clear()
        self.reached.clear()
        self._awaited = calls

    async def infer(
        self, request: oip_pb2.ModelInferRequest, context: Context
    ) -> oip_pb2.ModelInferResponse:
        if self.is_down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        self._awaited -= 1
        if self._awaited <= 0:
            self.reached.set()
        await self.open.wait()
        return oip_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)

    async def ready(
        self, request: oip_pb2.ModelReadyRequest, context: Context
    ) -> oip_pb2.ModelReadyResponse:
        return oip_pb2.ModelReadyResponse(ready=not self.is_down)

    def handlers(self) -> grpc.GenericRpcHandler:
        infer = grpc.unary_unary_rpc_method_handler(
            self.infer,
            request_deserializer=oip_pb2.ModelInferRequest.FromString,
            response_serializer=oip_pb2.ModelInferResponse.SerializeToString,
        )
        ready = grpc.unary_unary_rpc_method_handler(
            self.ready,
            request_deserializer=oip_pb2.ModelReadyRequest.FromString,
            response_serializer=oip_pb2.ModelReadyResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            "inference.GRPCInferenceService", {"ModelInfer": infer, "ModelReady": ready}
        )


@contextlib.asynccontextmanager
async def answering() -> "AsyncIterator[tuple[Echo, str]]":
    """An endpoint, and its address."""
    server = grpc.aio.server()
    servicer = Echo()
    server.add_generic_rpc_handlers((servicer.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    servicer.open.set()
    await server.stop(None)


class Service:
    """`turnout serve FILE`, its lines, and channels to it."""

    def __init__(self, process: asyncio.subprocess.Process, state_dir: Path) -> None:
        self.process = process
        self.state_dir = state_dir
        self.lines: list[str] = []
        self.data = ""
        self.openai = ""  # where its door for OpenAI clients is, if it has one

    async def read_until(self, event: str) -> dict[str, object]:
        """The next line of the log with this event."""
        assert self.process.stderr is not None
        async with asyncio.timeout(50):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line)
                with contextlib.suppress(ValueError):
                    entry: dict[str, object] = json.loads(line)
                    if entry["event"] == event:
                        return entry
        raise AssertionError(f"no {event!r} in:\n" + "".join(self.lines))

    def children(self, module: str) -> list[int]:
        """Process ids of our children that run this module."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                command = (entry / "cmdline").read_bytes().decode()
                parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if module in command and int(parent) == self.process.pid:
                    found.append(int(entry.name))
        return found

    async def info(self) -> admin_pb2.GetServerInfoResponse:
        """What operators are told."""
        async with grpc.aio.insecure_channel(f"unix:{self.state_dir / 'admin.sock'}") as channel:
            admin = admin_pb2_grpc.AdminServiceStub(channel)
            return await admin.GetServerInfo(admin_pb2.GetServerInfoRequest(), timeout=20)


def write_config(folder: Path, endpoint: str, **changes: object) -> Path:
    config = {
        "window_s": 0.5,
        "state_dir": str(folder / "state"),
        "listeners": {"data": "127.0.0.1:0"},
        "models": [
            {
                "name": "small",
                "protocol": "oip",
                "endpoints": [endpoint],
                "price": {"request_usd": 0.001},
                "prior_accuracy": 0.9,
            }
        ],
        "classes": [{"name": "all", "default": True}],
        **changes,
    }
    path = folder / "turnout.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


async def start(path: Path, state_dir: Path, *options: str) -> Service:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.cli", "serve", str(path), *options),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    return Service(process, state_dir)


@contextlib.asynccontextmanager
async def serving(path: Path, state_dir: Path, *options: str) -> AsyncIterator[Service]:
    """The service once it serves; it is told to stop at the end, unless it has ended."""
    service = await start(path, state_dir, *options)
    try:
        serving = await service.read_until("serving")
        service.data, service.openai = str(serving["data"]), str(serving.get("openai", ""))
        yield service
    finally:
        if service.process.returncode is None:
            service.process.terminate()
        await service.process.communicate()


@contextlib.asynccontextmanager
async def routing(address: str) -> "AsyncIterator[routing_pb2_grpc.RoutingServiceAsyncStub]":
    async with grpc.aio.insecure_channel(address) as channel:
        yield routing_pb2_grpc.RoutingServiceStub(channel)


async def infer(address: str) -> routing_pb2.InferResponse:
    async with routing(address) as stub:
        return await stub.Infer(
            routing_pb2.InferRequest(oip_request=REQUEST), wait_for_ready=True, timeout=20
        )
