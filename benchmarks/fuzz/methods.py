"""Each method that callers reach, by the bytes of a request; compressed ones are sent as such."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from benchmarks.fuzz.data_plane import data_plane
from benchmarks.fuzz.json_text import change_json, nest_json
from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Allowance, Meter
from benchmarks.fuzz.mutate import (
    ANY,
    Mutation,
    inflated_bytes,
    is_squeezed,
    squeeze,
    within_gzip,
    words,
)
from benchmarks.fuzz.peers import Caller, method_headers
from benchmarks.fuzz.planned import KEY, NOW_S
from benchmarks.fuzz.protobuf import PROTOBUF, delimited, within_field
from benchmarks.fuzz.targets import Feed, Left, Target
from server.app.handed_listener import WIRE_BYTES_MAX
from server.routing.catalog import Cell
from server.routing.decision_id import Kind, Sealer
from server.transport.serving.server import Server
from server.wire import oip_pb2
from turnout.v1 import routing_pb2 as pb

# Promised: 5 ms. Half as much again, for a machine that is slow or busy.
ON_THE_LOOP = Allowance(stretch_s=0.007_5)
INFLATED_BYTES_MAX = 2**20
# An answer with as many results as there may be, for requests of two bytes each.
_BATCH_BYTES = 8 * 2**20
# Longer than any call with a request of these sizes takes.
_PATIENCE_S = 100.0

Opened = Callable[[TurnLoop], AbstractAsyncContextManager[Server]]


def opened(path: str, server: Opened) -> Callable[[TurnLoop], AbstractAsyncContextManager[Feed]]:
    """Calls a method of a server, on a connection for each input."""

    @asynccontextmanager
    async def open_(loop: TurnLoop) -> AsyncIterator[Feed]:
        async with server(loop) as running:

            async def feed(data: bytes, meter: Meter) -> str:
                return await call(running, path, data, meter)

            yield feed

    return open_


async def call(server: Server, path: str, data: bytes, meter: Meter) -> str:
    """How one call ended; raises Left."""
    is_gzip = is_squeezed(data)
    size_bytes = inflated_bytes(data, WIRE_BYTES_MAX)
    caller = Caller(meter.loop, server.connected())
    await caller.greet()
    caller.begin(method_headers(path, is_gzip=is_gzip), data, is_gzip=is_gzip)
    meter.begin(size_bytes)
    outcome = await caller.answered(_PATIENCE_S)
    await caller.leave()
    meter.loop.end()
    check_left(server)
    return outcome


def check_left(server: Server) -> None:
    """Raises Left where a connection that is gone has left something."""
    left = {"connections": server.connections, "streams": server.streams}
    if any(left.values()):
        raise Left(str(left))


def target(
    name: str,
    path: str,
    seeds: Callable[[], Sequence[bytes]],
    *more: Mutation,
    server: Opened = data_plane,
) -> Target:
    inside = map(within_field, (*more, *ANY))
    mutations = (*PROTOBUF, *PROTOBUF, *ANY, *inside)
    return Target(
        name,
        opened(path, server),
        seeds,
        (*(within_gzip(m, INFLATED_BYTES_MAX) for m in mutations), _squeezed),
        ON_THE_LOOP,
    )


def _squeezed(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    return data if is_squeezed(data) else squeeze(data, dice, others)


def octets(*messages: Message) -> Callable[[], Sequence[bytes]]:
    return lambda: [message.SerializeToString() for message in messages]


def decision_id(kind: Kind = Kind.ROUTE) -> str:
    """One that settles."""
    return Sealer(KEY, 1).seal(
        kind,
        Cell("chat", "-", "other", "s0"),
        ("small", ""),
        audit_probability=0.5,
        expected_cost_nano_usd=1_000_000,
        now_s=NOW_S,
    )


def outcomes() -> list[pb.Outcome]:
    counted = pb.Outcome(decision_id=decision_id())
    counted.usage.latency.FromMilliseconds(20)
    counted.usage.input_tokens = 100
    counted.attempts.add(model="small").usage.failed = True
    counted.attempts.add(model="large", endpoint="127.0.0.1:1")
    graded = pb.Outcome(decision_id=decision_id(Kind.INFER), domain="law", intent="law.appeal")
    graded.feedback.add(metric="quality", value=0.5).time.FromSeconds(int(NOW_S))
    graded.feedback.add(metric="tone", value=1)
    return [counted, graded, pb.Outcome(decision_id="none of ours")]


_CONTEXT = pb.RequestContext(
    tenant="acme", user="ada", labels={"app": "x", "b": "y"}, priority=4, request_id="r1"
)
_FEATURES = pb.Features(input_tokens=120, capabilities=["tools"], payload_kind=pb.PAYLOAD_KIND_TEXT)
_TEXT = (
    "Please review: def f(x): return {'a': [1, 2]}\n- one\n- two\n| a | b |\n|---|---|\n"
    "Was the appeal of the judge heard by the court? Ist das so, oder nicht? 你好 привет"
)
TENSORS = oip_pb2.ModelInferRequest(
    model_name="auto",
    id="r1",
    inputs=[
        oip_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[3, 4]),
        oip_pb2.ModelInferRequest.InferInputTensor(
            name="t", datatype="BYTES", shape=[1],
            contents=oip_pb2.InferTensorContents(bytes_contents=[_TEXT.encode()]),
        ),
    ],
    raw_input_contents=[bytes(48), b"\5\0\0\0hello"],
)  # fmt: skip
_RAW_TENSORS = oip_pb2.ModelInferRequest(
    model_name="auto",
    inputs=[oip_pb2.ModelInferRequest.InferInputTensor(name="t", datatype="BYTES", shape=[1])],
    raw_input_contents=[b"\5\0\0\0hello"],
)
_CHAT = (
    b'{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":'
    b'[{"type":"text","text":"Was hei\\u00dft das?"},'
    b'{"type":"image_url","image_url":{"url":"u"}}]}],'
    b'"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],'
    b'"response_format":{"type":"json_object"}}'
)
_JSON_WORDS = words(
    b"[", b"]", b"{", b"}", b",", b'"', b"[[", b"{}", b'{"a":', b"null,", b"1e5,", b"\\ud800",
    b"\\", b'{"role":"user","content":"a"},', b'{"type":"text","text":""},',
    b"0,", b"123456789" * 9,
)  # fmt: skip
_TEXT_WORDS = words(
    b"a ", b"\n", b"```", b"```python\n", b"| a ", b"|-", b"- ", b"def f(", b"?", b"court ",
    b"appeal ", "ä".encode(), "你".encode(), "п".encode(), b"{", b"[", b"$x^2$ ", b"\t",
    b"1. ", b"I", b"the ",
)  # fmt: skip

_ROUTING, _OIP = "/turnout.v1.RoutingService/", "/inference.GRPCInferenceService/"


def _squeezed_fields(message: Message, octets: bytes) -> bytes:
    """A message with these very fields behind its own, compressed."""
    return squeeze(message.SerializeToString() + octets, random.Random(1), ())


# What took the worker once: small fields by the hundred thousand, each an object when it is parsed.
_EMPTIES = b"\x0a\x00" * 2**18
_MANY_IN_TENSORS = delimited(5 << 3 | 2, b"\x18\x01" * 2_000) * 64


def _route_seeds() -> Sequence[bytes]:
    capabilities = delimited(15 << 3 | 2, b"\x1a\x00" * 2**18)
    return [_squeezed_fields(pb.RouteRequest(), capabilities), *_good_routes()]


def _good_routes() -> Sequence[bytes]:
    return octets(
        pb.RouteRequest(context=_CONTEXT, text=_TEXT, features=_FEATURES),
        pb.RouteRequest(features=_FEATURES, dry_run=True),
        pb.RouteRequest(context=pb.RequestContext(traffic_class="nobody")),
    )()


def _chat_seeds() -> Sequence[bytes]:
    return [pb.RouteRequest(openai_chat=_CHAT).SerializeToString()]


def _batch_seeds() -> Sequence[bytes]:
    requests = [pb.RouteRequest.FromString(data) for data in (*_good_routes(), *_chat_seeds())]
    batch = pb.RouteBatchRequest(requests=requests)
    return [batch.SerializeToString(), _squeezed_fields(batch, _EMPTIES)]


def _report_seeds() -> Sequence[bytes]:
    report = pb.ReportRequest(outcomes=outcomes())
    return [report.SerializeToString(), _squeezed_fields(report, _EMPTIES)]


def _tensor_seeds() -> Sequence[bytes]:
    return [*octets(TENSORS, _RAW_TENSORS)(), _squeezed_fields(TENSORS, _MANY_IN_TENSORS)]


METHODS = (
    target("route", f"{_ROUTING}Route", _route_seeds, *(_TEXT_WORDS,) * 10),
    target(
        "route chat",
        f"{_ROUTING}Route",
        _chat_seeds,
        *(change_json,) * 20,
        nest_json,
        _JSON_WORDS,
        _TEXT_WORDS,
    ),
    target(
        "route tensors",
        f"{_ROUTING}Route",
        octets(pb.RouteRequest(oip_request=TENSORS.SerializeToString())),
    ),
    replace(
        target("route batch", f"{_ROUTING}RouteBatch", _batch_seeds, _TEXT_WORDS, _JSON_WORDS),
        allowance=replace(ON_THE_LOOP, free_bytes=_BATCH_BYTES),
    ),
    target(
        "infer",
        f"{_ROUTING}Infer",
        octets(
            pb.InferRequest(
                context=_CONTEXT, features=_FEATURES, oip_request=TENSORS.SerializeToString()
            )
        ),
    ),
    target("report", f"{_ROUTING}Report", _report_seeds),
    target("model infer", f"{_OIP}ModelInfer", _tensor_seeds, *(_TEXT_WORDS,) * 5),
    target(
        "model ready",
        f"{_OIP}ModelReady",
        octets(oip_pb2.ModelReadyRequest(name="auto", version="1")),
    ),
    target(
        "model metadata",
        f"{_OIP}ModelMetadata",
        octets(oip_pb2.ModelMetadataRequest(name="chat", version="1")),
    ),
    target(
        "health check",
        "/grpc.health.v1.Health/Check",
        octets(health_pb2.HealthCheckRequest(service="")),
    ),
    target(
        "health watch",
        "/grpc.health.v1.Health/Watch",
        octets(health_pb2.HealthCheckRequest(service="")),
    ),
    target(
        "reflection",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        octets(
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_by_filename="turnout/v1/routing.proto"),
            reflection_pb2.ServerReflectionRequest(
                file_containing_symbol="turnout.v1.RoutingService"
            ),
        ),
    ),
)  # fmt: skip
