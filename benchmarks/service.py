"""A real `turnout serve`, and the servers that it is compared with, each a process of its own."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
import psutil
import trustme

from benchmarks.processes import ProcessFailed, Server, serving
from benchmarks.sides import Certificate, Side
from turnout.v1 import admin_pb2, admin_pb2_grpc
from turnout.v1 import routing_pb2 as pb

# A start and a window, on a machine that has other things to do.
_READY_S = 30.0
_ASK_EVERY_S = 0.05

# Three models with a floor between them, so that the plan mixes; budgets are configured and every
# listener, counter and export is as it comes.
_CONFIG = """\
window_s: WINDOW_S
state_dir: STATE_DIR
listeners: LISTENERS
models:
  - name: small
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.0001}
    prior_accuracy: 0.85
  - name: middle
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.0004}
    prior_accuracy: 0.92
  - name: large
    protocol: oip
    endpoints: [ENDPOINT]
    price: {request_usd: 0.002}
    prior_accuracy: 0.97
classes:
  - {name: bulk, match: {labels: {app: [bulk]}}, slo: {ms: 200, fraction: 0.95}, floor: 0.9}
  - {name: other, slo: {ms: 1000, fraction: 0.95}, default: true}
budgets:
  - {name: all, amount_usd: 10000, period: day}
"""


class Exchange(NamedTuple):
    """What is asked, and what the answer is."""

    method: str
    request: bytes
    response: type[pb.RouteResponse] | type[pb.InferResponse]


class Turnout(NamedTuple):
    """A `turnout serve`."""

    address: str
    admin_address: str
    pids: Mapping[str, int]  # of its workers, by name
    asked: int  # calls until a plan answered
    openai_address: str = ""  # of its door for OpenAI clients, where it has one


# What a caller sends who knows what it asks for, and no content.
ROUTE = Exchange(
    "/turnout.v1.RoutingService/Route",
    pb.RouteRequest(
        context=pb.RequestContext(tenant="acme", labels={"app": "bulk", "stage": "live"}),
        features=pb.Features(input_tokens=250, payload_kind=pb.PAYLOAD_KIND_TENSORS),
    ).SerializeToString(),
    pb.RouteResponse,
)


def certificate(folder: Path) -> Certificate:
    """A certificate for 127.0.0.1, and who signed it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = Certificate(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    authority.cert_pem.write_to_path(files.ca_file)
    issued.private_key_pem.write_to_path(files.key_file)
    files.cert_file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return files


@contextmanager
def bare_server(
    folder: Path, name: str, *does: str, tls: Certificate | None = None
) -> Iterator[Side]:
    """`does` is what benchmarks.floors.bare_server takes."""
    if tls:
        does = (*does, "--cert-file", str(tls.cert_file), "--key-file", str(tls.key_file))
    module = "benchmarks.floors.bare_server"
    with serving(name, "-m", module, *does, folder=folder) as server:
        yield Side(f"127.0.0.1:{server.line()}", (server.process.pid,))


@contextmanager
def turnout(
    folder: Path,
    endpoint: str,
    exchange: Exchange,
    *,
    window_s: float,
    tls: Certificate | None = None,
) -> Iterator[Side]:
    """`turnout serve` as `turnout_with` has it; the side is its only worker."""
    with turnout_with(1, folder, endpoint, exchange, window_s=window_s, tls=tls) as service:
        yield Side(service.address, tuple(service.pids.values()))


@contextmanager
def turnout_with(
    workers: int,
    folder: Path,
    endpoint: str,
    exchange: Exchange,
    *,
    window_s: float,
    tls: Certificate | None = None,
) -> Iterator[Turnout]:
    """`turnout serve` with models at this endpoint, once a plan answers."""
    listeners: dict[str, object] = {"data": "127.0.0.1:0"}
    if tls:
        listeners["tls"] = {"cert_file": str(tls.cert_file), "key_file": str(tls.key_file)}
    name = f"turnout-{workers}-tls" if tls else f"turnout-{workers}"
    text = _text(window_s, listeners, endpoint)
    with configured(workers, folder / name, text) as (service, server):
        yield service._replace(asked=_wait_for_plan(service, exchange, server, tls))


@contextmanager
def door(folder: Path, url: str, chat: bytes, *, window_s: float) -> Iterator[Side]:
    """`turnout serve` with language models at this URL, once a plan answers such a chat.

    The side is the door of its only worker.
    """
    listeners = {"data": "127.0.0.1:0", "openai": "127.0.0.1:0"}
    text = _text(window_s, listeners, url).replace("protocol: oip", "protocol: openai")
    context = pb.RequestContext(labels={"app": "bulk"})
    request = pb.InferRequest(context=context, openai_chat=chat).SerializeToString()
    exchange = Exchange("/turnout.v1.RoutingService/Infer", request, pb.InferResponse)
    with configured(1, folder / "turnout-door", text) as (service, server):
        _wait_for_plan(service, exchange, server, None)
        yield Side(service.openai_address, tuple(service.pids.values()))


def _text(window_s: float, listeners: Mapping[str, object], endpoint: str) -> str:
    text = _CONFIG.replace("WINDOW_S", str(window_s)).replace("LISTENERS", json.dumps(listeners))
    return text.replace("ENDPOINT", json.dumps(endpoint))


@contextmanager
def configured(workers: int, folder: Path, text: str) -> Iterator[tuple[Turnout, Server]]:
    """`turnout serve` in a new folder with this configuration, once it serves."""
    folder.mkdir()
    file = folder / "turnout.yaml"
    file.write_text(text.replace("STATE_DIR", str(folder / "state")))
    command = ("-m", "server.cli", "serve", str(file), "--workers", str(workers))
    with serving("turnout", *command, folder=folder) as server:
        said = _serving(server)
        pids = _worker_pids(server, workers)
        yield Turnout(said["data"], said["admin"], pids, 0, said.get("openai", "")), server


def workers_when(
    service: Turnout, holds: Callable[[Sequence[admin_pb2.Worker]], bool]
) -> dict[str, admin_pb2.Worker]:
    """What workers say of themselves, by name, once this holds; raises ProcessFailed."""
    until_s, found = time.monotonic() + _READY_S, list[admin_pb2.Worker]()
    with grpc.insecure_channel(service.admin_address) as channel:
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        while time.monotonic() < until_s:
            request = admin_pb2.GetServerInfoRequest()
            found = list(admin.GetServerInfo(request, timeout=_READY_S).workers)
            if len(found) == len(service.pids) and holds(found):
                return {worker.name: worker for worker in found}
            time.sleep(_ASK_EVERY_S)
    raise ProcessFailed(f"after {_READY_S:g} s workers still say {found}")


def answer_of(
    side: Side | Turnout, method: str, request: bytes, tls: Certificate | None = None
) -> bytes:
    """What it answers."""
    with _channel(side.address, tls) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        return call(request, timeout=_READY_S, wait_for_ready=True)


def _wait_for_plan(
    service: Turnout, exchange: Exchange, server: Server, tls: Certificate | None
) -> int:
    """Asks until a plan answers, which takes a window; how often it asked."""
    until_s, asked = time.monotonic() + _READY_S, 0
    while time.monotonic() < until_s:
        data = answer_of(service, exchange.method, exchange.request, tls)
        asked += 1
        if exchange.response.FromString(data).reason.basis == pb.BASIS_PLAN:
            return asked
        time.sleep(_ASK_EVERY_S)
    raise server.failed(f"has no plan after {_READY_S:g} s")


def _channel(address: str, tls: Certificate | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(tls.ca_file.read_bytes()))


def _serving(server: Server) -> dict[str, str]:
    """Where it takes requests, by its own log."""
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s and server.process.poll() is None:
        for line in server.log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry: dict[str, str] = json.loads(line)
                if entry["event"] == "serving":
                    return entry
        time.sleep(_ASK_EVERY_S)
    raise server.failed("does not serve")


def _worker_pids(server: Server, workers: int) -> dict[str, int]:
    """By the names that the supervisor gave them."""
    pids: dict[str, int] = {}
    for child in psutil.Process(server.process.pid).children():
        *_, module, settings = child.cmdline()
        if module == "server.app.worker":
            pids[json.loads(settings)["name"]] = child.pid
    if len(pids) != workers:
        raise server.failed(f"runs {len(pids)} workers")
    return pids
