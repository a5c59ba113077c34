"""Both clients call a listener with TLS by credentials of grpcio."""

from pathlib import Path

import grpc
import pytest

from tests.client.both_clients import QUICK, AnyClientClass, settled
from tests.client.contract_server import ContractServicer, serving
from tests.server.certificates import Authority, caller_credentials
from turnout import Unreachable


def server_credentials(authority: Authority) -> grpc.ServerCredentials:
    """Of a listener at localhost that asks for a certificate."""
    files = authority.issue("server", "localhost")
    pair = Path(files.key_file).read_bytes(), Path(files.cert_file).read_bytes()
    return grpc.ssl_server_credentials([pair], authority.pem, require_client_auth=True)


async def test_a_client_with_credentials_is_answered(
    client_class: AnyClientClass, servicer: ContractServicer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    credentials = caller_credentials(authority, authority.issue("caller", "team-a"))
    with serving(servicer, server_credentials(authority)) as address:
        address = address.replace("127.0.0.1", "localhost")
        client = client_class(address, credentials=credentials, timeout_s=20)
        assert (await settled(client.route(traffic_class="code"))).model
        await settled(client.close())


async def test_a_client_without_credentials_is_not(
    client_class: AnyClientClass, servicer: ContractServicer, tmp_path: Path
) -> None:
    with serving(servicer, server_credentials(Authority(tmp_path))) as address:
        client = client_class(address, timeout_s=20, retry=QUICK)
        with pytest.raises(Unreachable):
            await settled(client.route(traffic_class="code"))
        await settled(client.close())
