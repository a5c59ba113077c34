"""A server with a Turnout's answers, and the command that asks it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from server.cli.app import app
from tests.server.cli.answers import Admin, Answers, Routing
from turnout.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from turnout.v1.routing_pb2_grpc import add_RoutingServiceServicer_to_server

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `turnout` with a state folder of its own, in 80 columns unless others are given."""
    environ = {"XDG_STATE_HOME": str(tmp_path), "NO_COLOR": "1"}

    def invoke(*args: object, columns: int = 80, stdin: str | None = None) -> Result:
        env = environ | {"COLUMNS": str(columns)}
        # The name stands in the lines of usage, and so in what fits.
        return CliRunner().invoke(
            app, [str(arg) for arg in args], env=env, input=stdin, prog_name="turnout"
        )

    return invoke


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def address(answers: Answers) -> Iterator[str]:
    """Where both services are answered, over TCP."""
    server = grpc.server(ThreadPoolExecutor(2))
    add_AdminServiceServicer_to_server(Admin(answers), server)
    add_RoutingServiceServicer_to_server(Routing(answers), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(1).wait()
