"""A secret and a prompt are planted, every fault is tried at both doors, and nothing shows them.

`turnout serve` with its door, gRPC, access log, spans, metrics and state folder, before endpoints
that quote whatever they are sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from server.replay.access_lines import read_access_log
from server.wire import oip_pb2
from tests.server.running import Service, serving, write_config
from tests.server.telemetry.collector import Collector, collecting
from tests.server.test_killed import free_port
from tests.server.upstream.endpoint import FakeEndpoint as OipEndpoint
from tests.server.upstream.endpoint import refusing as refusing_calls
from tests.server.upstream.endpoint import serving as serving_oip
from tests.server.upstream.openai.asking import KEY, PROMPT
from tests.server.upstream.openai.endpoint import (
    CHUNKS,
    Behaviour,
    FakeEndpoint,
    chunked,
    holding,
    refusing,
)
from tests.server.upstream.openai.endpoint import serving as serving_openai
from tests.server.upstream.openai.test_faults import CHUNKED, FAULTS, QUOTED
from turnout.v1 import admin_pb2, admin_pb2_grpc, routing_pb2_grpc
from turnout.v1 import routing_pb2 as pb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# What an endpoint says of a key is nobody's business, though it quotes nothing.
OWN_WORDS = "the account of wharf seven is closed"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DEADLINE_S = 1.0
CALL_S = 20.0
_SLOW = (CHUNKED + chunked(CHUNKS[0]),)
# Those of docs/streams.md that the endpoint's own tests do not have.
MORE: dict[str, Behaviour] = {
    "nothing comes at all": holding(),
    "the head of an answer, and no piece": holding(CHUNKED),
    "silent between two pieces": holding(*_SLOW),
    "401 in its own words": refusing(401, {"message": OWN_WORDS}),
    "403 in its own words": refusing(403, {"message": OWN_WORDS}),
}
TRIED = {name: fault.behaviour for name, fault in FAULTS.items()} | MORE
REFUSED_CALLS = [
    (grpc.StatusCode.UNAUTHENTICATED, OWN_WORDS),
    (grpc.StatusCode.PERMISSION_DENIED, OWN_WORDS),
    (grpc.StatusCode.INVALID_ARGUMENT, QUOTED),
    (grpc.StatusCode.INTERNAL, QUOTED),
    (grpc.StatusCode.UNAVAILABLE, QUOTED),
]


@dataclass(slots=True)
class Callers:
    """Both doors, and every word that an error said there."""

    http: aiohttp.ClientSession
    stub: "routing_pb2_grpc.RoutingServiceAsyncStub"
    url: str
    secret: str
    calls: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return ("authorization", f"Bearer {self.secret}"), ("traceparent", TRACEPARENT)

    async def try_all(self) -> None:
        """Asks in every way at once."""
        chat = json.dumps(_chat()).encode()
        await asyncio.gather(
            self.post({}),
            self.post({"stream": True}),
            self.call(self.stub.Infer(pb.InferRequest(openai_chat=chat), metadata=self.metadata)),
            self.call(self.stub.Infer(pb.InferRequest(text=PROMPT), metadata=self.metadata)),
            self.stream(pb.InferStreamRequest(openai_chat=chat)),
            self.stream(pb.InferStreamRequest(text=PROMPT)),
        )

    async def leave(self) -> None:
        """Takes the first event of a stream, and goes."""
        self.calls += 1
        async with self.http.post(self.url, json=_chat() | {"stream": True}) as response:
            await response.content.readany()

    async def report(self, decision_id: str) -> None:
        self.calls += 1  # the decision
        grade = pb.Feedback(metric="quality", value=1.0)
        outcome = pb.Outcome(decision_id=decision_id, feedback=[grade])
        request = pb.ReportRequest(outcomes=[outcome])
        (result,) = (await self.stub.Report(request, metadata=self.metadata)).results
        assert not result.reason

    async def post(self, more: dict[str, Any]) -> None:
        self.calls += 1
        async with self.http.post(self.url, json=_chat() | more) as response:
            said = bytearray()
            with suppress(aiohttp.ClientError):
                async for data in response.content.iter_any():
                    said += data
            self.errors.append(said.decode() + str(response.headers))

    async def call(self, call: Any) -> None:
        self.calls += 1
        try:
            await asyncio.wait_for(call, CALL_S)
        except grpc.aio.AioRpcError as error:
            self.keep(error)

    async def stream(self, request: pb.InferStreamRequest) -> None:
        self.calls += 1
        call = self.stub.InferStream(request, metadata=self.metadata, timeout=CALL_S)
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            self.keep(error)

    def keep(self, error: grpc.aio.AioRpcError) -> None:
        trailers = [*error.initial_metadata(), *error.trailing_metadata()]
        self.errors.append(f"{error.details()} {trailers!r} {error.debug_error_string()}")


def _chat() -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        monkeypatch.setenv("A_KEY", KEY)
        yield found


@pytest.fixture
async def endpoints() -> AsyncIterator[tuple[FakeEndpoint, OipEndpoint]]:
    made = FakeEndpoint(), OipEndpoint()
    async with serving_openai(made[0]), serving_oip(made[1]):
        yield made


def configured(folder: Path, openai: FakeEndpoint, oip: OipEndpoint, prometheus: str) -> Path:
    price = {"request_usd": 0.001, "output_usd_per_mtok": 1.0}
    common = {"price": price, "prior_accuracy": 0.9}
    return write_config(
        folder,
        "",
        access_log=str(folder / "access"),
        listeners={"data": "127.0.0.1:0", "openai": "127.0.0.1:0", "prometheus": prometheus},
        models=[
            {
                "name": "own",
                "protocol": "openai",
                "endpoints": [openai.url],
                "api_key_env": "A_KEY",
                **common,
            },
            {"name": "tensors", "protocol": "oip", "endpoints": [oip.address], **common},
        ],
        classes=[{"name": "all", "default": True, "deadline_s": DEADLINE_S}],
        health={"consecutive_failures_max": 1_000_000},  # it goes on being asked
    )


async def made_key(service: Service) -> str:
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        request = admin_pb2.CreateKeyRequest(key=admin_pb2.Key(tenant="team-a"))
        made = await admin_pb2_grpc.AdminServiceStub(channel).CreateKey(request, timeout=CALL_S)
    return made.secret


async def scrape(http: aiohttp.ClientSession, address: str) -> str:
    """As Prometheus does."""
    async with http.get(f"http://{address}/metrics") as answer:
        return await answer.text()


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_no_fault_shows_a_prompt_or_a_key_anywhere(
    collector: Collector, endpoints: tuple[FakeEndpoint, OipEndpoint], tmp_path: Path
) -> None:
    openai, oip = endpoints
    state = tmp_path / "state"
    async with AsyncExitStack() as stack:
        prometheus = f"127.0.0.1:{free_port()}"
        path = configured(tmp_path, openai, oip, prometheus)
        service = await stack.enter_async_context(serving(path, state))
        secret = await made_key(service)
        headers = {"authorization": f"Bearer {secret}", "traceparent": TRACEPARENT}
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(service.data))
        stub = routing_pb2_grpc.RoutingServiceStub(channel)
        callers = Callers(http, stub, f"http://{service.openai}/v1/chat/completions", secret)
        for behaviour in TRIED.values():
            openai.behaviour = behaviour
            await callers.try_all()
        openai.behaviour = holding(*_SLOW)
        await callers.leave()
        for code, words in REFUSED_CALLS:
            oip.behaviour = refusing_calls(code, words)
            await callers.call(stub.Infer(_tensors(), metadata=callers.metadata))
        routed = await stub.Route(pb.RouteRequest(text=PROMPT), metadata=callers.metadata)
        await callers.report(routed.decision_id)
        scraped = await scrape(http, prometheus)
        service.process.terminate()
        _, rest = await service.process.communicate()
    told = {
        "errors": "\n".join(callers.errors).encode(),
        "log": "".join(service.lines).encode() + rest,
        "spans": b"".join(one.SerializeToString() for one in collector.traces),
        "metrics": b"".join(one.SerializeToString() for one in collector.metrics),
        "scraped": scraped.encode(),
        **read_all(state),
        **read_all(tmp_path / "access"),
    }
    _hold_tried(openai, oip, callers)
    _hold_replayed(tmp_path / "access", callers)
    _hold_told(told, callers)
    planted = [PROMPT, "whale", KEY, secret, OWN_WORDS, "cannot answer"]
    shown = [
        (where, one) for where, data in told.items() for one in planted if one.encode() in data
    ]
    assert shown == []


def _tensors() -> pb.InferRequest:
    tensor = oip_pb2.ModelInferRequest.InferInputTensor(name="t", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(PROMPT.encode())
    request = oip_pb2.ModelInferRequest(inputs=[tensor])
    return pb.InferRequest(oip_request=request.SerializeToString())


def _hold_tried(openai: FakeEndpoint, oip: OipEndpoint, callers: Callers) -> None:
    """The endpoints were sent both, or nothing could have shown them."""
    assert len(openai.requests) >= callers.calls - len(REFUSED_CALLS) - 1
    asked = [one for one in openai.requests if one.line.startswith("POST")]
    assert all(one.headers["authorization"] == f"Bearer {KEY}" for one in asked)
    assert all(PROMPT.encode() in one.body for one in asked)
    assert len(oip.requests) >= len(REFUSED_CALLS)
    assert all(PROMPT.encode() in one for one in oip.requests)
    assert len(callers.errors) > len(TRIED)


def _hold_replayed(access: Path, callers: Callers) -> None:
    """What was written can be replayed, with the grade that was reported."""
    recording = read_access_log(access)
    assert len(recording.requests.ids) == callers.calls
    assert set(recording.requests.tenants) == {"team-a"}
    assert np.nansum(recording.score) == 1.0


def _hold_told(told: dict[str, bytes], callers: Callers) -> None:
    """Everything was written to."""
    written = b"".join(data for name, data in told.items() if "access" in name)
    lines = [json.loads(line) for line in written.splitlines()]
    assert sum(line["event"] == "request" for line in lines) == callers.calls
    assert told["spans"].count(b"chat own") >= callers.calls - len(REFUSED_CALLS) - 1
    assert b"turnout.requests" in told["metrics"]
    assert b"turnout_requests" in told["scraped"]
    assert any("keys.json" in name for name in told)
