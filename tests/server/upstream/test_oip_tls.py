"""Endpoints of OIP that are called by TLS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from server.dispatch.exchange import TENSORS, Asked, EndpointError
from server.routing.catalog import Model, compile_catalog
from server.status_code import Code
from server.transport.sockets.tls import TlsFiles
from server.upstream.oip import OipUpstream
from tests.server.certificates import Authority
from tests.server.routing.configs import config, model
from tests.server.upstream.endpoint import FakeEndpoint, serving

WAIT_S = 20.0  # a limit for what takes milliseconds


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def called_by_tls(address: str, **tls: str | None) -> Model:
    return compile_catalog(config(model("small", endpoints=(address,), tls=tls))).models[0]


def credentials(shown: TlsFiles, asks: Authority | None) -> grpc.ServerCredentials:
    key, cert = Path(shown.key_file).read_bytes(), Path(shown.cert_file).read_bytes()
    return grpc.ssl_server_credentials(
        [(key, cert)], asks.pem if asks else None, require_client_auth=asks is not None
    )


@asynccontextmanager
async def encrypted(shown: TlsFiles, asks: Authority | None = None) -> AsyncIterator[FakeEndpoint]:
    """An endpoint that shows a certificate, and may ask for one of an authority."""
    endpoint = FakeEndpoint()
    async with serving(endpoint, credentials=credentials(shown, asks)):
        yield endpoint


@asynccontextmanager
async def calling(*models: Model) -> AsyncIterator[OipUpstream]:
    upstream = OipUpstream()
    upstream.track(models)
    yield upstream
    await upstream.close()


async def ask(upstream: OipUpstream, asked: Model) -> Any:
    (address,) = asked.endpoints
    return await upstream.open_exchange(address, asked, Asked(b"", TENSORS), WAIT_S, ())


async def test_an_endpoint_of_an_authority_of_ones_own_is_called(authority: Authority) -> None:
    async with encrypted(authority.issue("endpoint", "127.0.0.1")) as endpoint:
        small = called_by_tls(endpoint.address, ca_file=str(authority.file))
        async with calling(small) as upstream:
            await ask(upstream, small)
            assert len(endpoint.requests) == 1


async def test_an_endpoint_that_asks_for_a_certificate_is_shown_ours(
    authority: Authority,
) -> None:
    ours = authority.issue("ours", "turnout")
    async with encrypted(authority.issue("endpoint", "127.0.0.1"), authority) as endpoint:
        small = called_by_tls(
            endpoint.address,
            ca_file=str(authority.file),
            cert_file=ours.cert_file,
            key_file=ours.key_file,
        )
        async with calling(small) as upstream:
            await ask(upstream, small)
            assert len(endpoint.requests) == 1


async def test_an_endpoint_that_nobody_vouches_for_is_not_sent_anything(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    async with encrypted(authority.issue("endpoint", "127.0.0.1")) as endpoint:
        small = called_by_tls(endpoint.address, ca_file=str(other.file))
        async with calling(small) as upstream:
            with pytest.raises(EndpointError, match="certificate verify failed") as failed:
                await ask(upstream, small)
        assert (failed.value.code, failed.value.is_sent) == (Code.UNAVAILABLE, False)
        assert endpoint.requests == []


async def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    small = called_by_tls("127.0.0.1:9", ca_file=f"{tmp_path}/none.pem")
    async with calling(small) as upstream:
        with pytest.raises(EndpointError, match="tls cannot be used: ca_file cannot be read"):
            await ask(upstream, small)


async def test_one_address_with_and_without_tls_has_two_channels(authority: Authority) -> None:
    async with encrypted(authority.issue("endpoint", "127.0.0.1")) as endpoint:
        by_tls = called_by_tls(endpoint.address, ca_file=str(authority.file))
        plain = compile_catalog(config(model("small", endpoints=(endpoint.address,)))).models[0]
        async with calling(by_tls, plain) as upstream:
            await ask(upstream, by_tls)
            with pytest.raises(EndpointError):
                await ask(upstream, plain)
            upstream.track([by_tls])
            await ask(upstream, by_tls)
