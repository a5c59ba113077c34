"""clients/python/examples: each runs against a server, and needs nothing but the client."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.contract_server import ContractServicer
from turnout.v1 import routing_pb2 as pb

EXAMPLES = sorted((Path(__file__).parents[2] / "clients/python/examples").glob("*.py"))
EXPECTED = {
    "chat": "send it to small at 127.0.0.1:9001",
    "in_asyncio": "user-4: small",
    "many_at_once": " 1000 small",
    "talk": "Paris, of course.\n(small, $0.001500: small has 80 % of chat)\n",
    "route_and_report": "an answer of large\nreported 2 attempts",
}


def run(example: Path, address: str) -> str:
    command = [sys.executable, "-W", "error", str(example), address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(example: Path, address: str, servicer: ContractServicer) -> None:
    assert EXPECTED[example.stem] in run(example, address)
    assert servicer.requests


def test_what_the_first_model_did_not_answer_is_reported_of_both(
    address: str, servicer: ContractServicer
) -> None:
    run(next(path for path in EXAMPLES if path.stem == "route_and_report"), address)
    report = servicer.requests[-1]
    assert isinstance(report, pb.ReportRequest)
    (outcome,) = report.outcomes
    assert [(one.model, one.usage.failed) for one in outcome.attempts] == [
        ("small", True),
        ("large", False),
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_imports_the_client_and_the_standard_library_alone(example: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(example.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names == {"turnout"}
