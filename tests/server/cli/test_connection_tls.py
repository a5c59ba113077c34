"""Commands call a listener with TLS, and say what is wrong where they cannot."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests.client.test_tls import server_credentials
from tests.server.certificates import Authority
from tests.server.cli.answers import Admin, Answers, Routing
from tests.server.cli.conftest import Run
from turnout.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from turnout.v1.routing_pb2_grpc import add_RoutingServiceServicer_to_server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def data(authority: Authority, answers: Answers) -> Iterator[str]:
    """Where requests are answered to who shows a certificate."""
    yield from _serving(answers, server_credentials(authority))


@pytest.fixture
def admin(authority: Authority, answers: Answers) -> Iterator[str]:
    """Where operators are answered, without a certificate of theirs."""
    files = authority.issue("admin", "localhost")
    pair = Path(files.key_file).read_bytes(), Path(files.cert_file).read_bytes()
    yield from _serving(answers, grpc.ssl_server_credentials([pair]))


def _serving(answers: Answers, credentials: grpc.ServerCredentials) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    add_AdminServiceServicer_to_server(Admin(answers), server)
    add_RoutingServiceServicer_to_server(Routing(answers), server)
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"localhost:{port}"
    server.stop(1).wait()


def test_a_decision_is_asked_for_with_a_certificate(
    run: Run, data: str, authority: Authority
) -> None:
    shown = authority.issue("caller", "operator")
    tls = ("--tls-ca", authority.file, "--tls-cert", shown.cert_file, "--tls-key", shown.key_file)
    assert run("route", "--address", data, *tls).exit_code == 0


@pytest.mark.parametrize("command", [["plan"], ["models"], ["models", "drain", "small"]])
def test_operators_trust_an_authority(
    run: Run, admin: str, authority: Authority, command: list[str]
) -> None:
    assert run(*command, "--admin", admin, "--tls-ca", authority.file).exit_code == 0


def test_without_tls_it_is_told_that_there_may_be_some(run: Run, admin: str) -> None:
    result = run("plan", "--admin", admin)
    assert result.exit_code == 1
    assert f"{admin} hangs up: if it has TLS, name --tls-ca" in result.stderr


def test_another_authority_is_told(run: Run, admin: str, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    result = run("plan", "--admin", admin, "--tls-ca", other.file)
    assert f"{admin} has a certificate of an authority that is not trusted" in result.stderr


def test_another_name_is_told(run: Run, admin: str, authority: Authority) -> None:
    by_number = admin.replace("localhost", "127.0.0.1")
    result = run("plan", "--admin", by_number, "--tls-ca", authority.file)
    assert f"{by_number} has a certificate for another name" in result.stderr


def test_a_listener_without_tls_is_told(run: Run, address: str, authority: Authority) -> None:
    result = run("plan", "--admin", address, "--tls-ca", authority.file)
    assert f"{address} has no TLS: leave --tls-ca out" in result.stderr


def test_a_file_that_is_missing_is_told(run: Run, admin: str, tmp_path: Path) -> None:
    result = run("plan", "--admin", admin, "--tls-ca", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert f"{tmp_path}/nowhere cannot be read: No such file or directory" in result.stderr
