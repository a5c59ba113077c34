"""The client's README works as it is printed."""

import re
from pathlib import Path

import pytest

import turnout
from tests.client.contract_server import ContractServicer, serving
from tests.client.test_tls import server_credentials
from tests.server.certificates import Authority

README = (Path(__file__).parents[2] / "clients/python/README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
INFER, CHAT, ROUTE, FALLBACK, BATCH, TLS, KEYS, ERRORS = BLOCKS


@pytest.mark.parametrize(
    "block",
    [INFER, CHAT, ROUTE, FALLBACK, BATCH, ERRORS],
    ids=["infer", "chat", "route", "fallback", "batch", "errors"],
)
def test_its_code_runs_against_a_server(
    block: str, address: str, servicer: ContractServicer, capsys: pytest.CaptureFixture[str]
) -> None:
    # Only the address and the caller's own stubs are others here.
    here = block.replace("127.0.0.1:7080", address).replace(
        "from tritonclient.grpc.service_pb2", "from server.wire.oip_pb2"
    )
    exec(compile(here, "README.md", "exec"), {"__name__": "__main__"})
    assert servicer.requests
    assert "later:" not in capsys.readouterr().out


def test_its_code_speaks_tls(
    servicer: ContractServicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    authority.issue("caller", "team-a")
    monkeypatch.chdir(tmp_path)
    with serving(servicer, server_credentials(authority)) as address:
        port = address.rpartition(":")[2]
        exec(compile(TLS.replace("7080", port), "README.md", "exec"), {"__name__": "__main__"})
    assert servicer.requests


def test_its_code_shows_a_key(
    address: str, servicer: ContractServicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("team-a.key").write_text("tk_a_b\n")
    here = KEYS.replace("127.0.0.1:7080", address)
    exec(compile(here, "README.md", "exec"), {"__name__": "__main__"})
    assert servicer.authorizations == ["Bearer tk_a_b"]


def test_it_has_a_line_for_every_error() -> None:
    errors = {
        name
        for name in turnout.__all__
        if isinstance(each := getattr(turnout, name), type) and issubclass(each, Exception)
    }
    assert set(re.findall(r"^\| `(\w+)`", README, re.MULTILINE)) == errors - {"TurnoutError"}
