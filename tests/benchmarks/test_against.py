"""`--against HOST:PORT`: a reader's own server as the floor."""

import asyncio
import os
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.against import Refused, Theirs, benchmark_against, check_that_it_answers, theirs_at
from benchmarks.floors.bare_server import Context, constant
from benchmarks.harness import Row
from benchmarks.service import ROUTE, bare_server
from tests.benchmarks.test_load import listening

METHOD = "/any.Service/Method"


def theirs(address: str, *pids: int) -> Theirs:
    return theirs_at(address, METHOD, b"what", pids)


def test_theirs_is_asked_what_ours_is_unless_told_otherwise() -> None:
    assert theirs_at("localhost:9000", ROUTE.method, None, ()) == Theirs(
        "localhost:9000", "/turnout.v1.RoutingService/Route", ROUTE.request, ()
    )
    assert theirs_at("[::1]:9000", "any.Service/Method", b"", (os.getpid(),)) == Theirs(
        "[::1]:9000", METHOD, b"", (os.getpid(),)
    )


@pytest.mark.parametrize(
    "address", ["localhost", ":9000", "localhost:", "localhost:http", "http://localhost:9000"]
)
def test_an_address_that_is_none_is_refused_with_what_is_right(address: str) -> None:
    with pytest.raises(Refused, match="HOST:PORT is right"):
        theirs(address)


@pytest.mark.parametrize("method", ["", "Method", "a/b/c"])
def test_a_method_that_is_none_is_refused_with_what_is_right(method: str) -> None:
    with pytest.raises(Refused, match="Method is right"):
        theirs_at("localhost:9000", method, None, ())


def test_a_process_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="--pid 4194305: there is no such process"):
        theirs("localhost:9000", 4_194_305)  # more than Linux gives out


@pytest.mark.parametrize("pids", [(), (os.getpid(),)])
def test_what_it_costs_is_compared_where_its_processes_are_known(pids: tuple[int, ...]) -> None:
    metrics = {
        claim.name.partition("/")[0].rpartition(".")[2]
        for claim in benchmark_against(theirs("localhost:9000", *pids)).claims
    }
    assert metrics == {"p50", "p99"} | ({"cpu"} if pids else set())


def test_a_server_that_does_not_listen_is_refused_with_what_to_do() -> None:
    done = CliRunner().invoke(app, ["run", "--against", "127.0.0.1:1"])
    assert done.exit_code == 1
    assert "127.0.0.1:1 does not answer: start it first" in done.stderr
    assert "plaintext" in done.stderr


async def test_a_server_that_answers_is_not_refused() -> None:
    async with listening(constant(b"that")) as address:
        await asyncio.to_thread(check_that_it_answers, theirs(address))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "--method /package.Service/Method"),
        (grpc.StatusCode.INVALID_ARGUMENT, "--request FILE"),
    ],
)
async def test_a_server_that_refuses_is_named_with_what_to_give_it(
    code: grpc.StatusCode, advice: str
) -> None:
    async def refuse(_request: bytes, context: Context) -> bytes:
        await context.abort(code, "not like this")

    async with listening(refuse) as address:
        with pytest.raises(Refused) as refused:
            await asyncio.to_thread(check_that_it_answers, theirs(address))
    said = str(refused.value)
    assert said.startswith(f"{address} answers {METHOD} with {code.name}: not like this.")
    assert advice in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--against", "nowhere"], "HOST:PORT is right"),
        (["infer", "--against", "127.0.0.1:1"], "compares Route alone"),
        (["--method", METHOD], "--against HOST:PORT"),
        (["--pid", "1"], "--against HOST:PORT"),
    ],
)
def test_arguments_that_make_no_sense_together_are_refused(arguments: list[str], said: str) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["run", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_both_are_measured_in_one_run(tmp_path: Path) -> None:
    with bare_server(tmp_path, "theirs", "--answer", b"that".hex()) as side:
        benchmark = benchmark_against(theirs(side.address, *side.pids))
        rows = benchmark.run(True)
    assert [row.name for row in rows] == [claim.name for claim in benchmark.claims]
    assert {row.floor for row in rows} == {side.address}
    assert all(isinstance(row, Row) and row.floor_us > 0 for row in rows)
