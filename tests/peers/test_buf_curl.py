"""`buf curl` as the client of a real `turnout serve`: Go's HTTP/2, its Huffman coding and `te`."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from server.status_code import Code
from tests.peers.running import PATIENCE_S, Failed, output, started
from tests.server.running import answering, serving, write_config

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("buf"),
    pytest.mark.asyncio(loop_scope="module"),
]

PROTOS = Path(__file__).parents[2] / "protos"
GRPC = ("buf", "curl", "--http2-prior-knowledge", "--protocol", "grpc")
ROUTE, MODEL_INFER = "turnout.v1.RoutingService/Route", "inference.GRPCInferenceService/ModelInfer"
# Unless it is told which, it asks for v1 first.
SCHEMAS = pytest.mark.parametrize(
    "schema",
    [
        ("--reflect", "--reflect-protocol", "grpc-v1"),
        ("--reflect", "--reflect-protocol", "grpc-v1alpha"),
        ("--schema", str(PROTOS)),
    ],
    ids=["v1", "v1alpha", "protos"],
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def data(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where one service answers for all tests of this module."""
    folder = tmp_path_factory.mktemp("turnout")
    async with answering() as (_, endpoint):
        path = write_config(folder, endpoint)
        async with serving(path, folder / "state", "--transport", "turnout") as service:
            yield service.data


async def called(
    data: str, method: str, request: Mapping[str, object], *options: str, command: Any = GRPC
) -> Any:
    said = json.dumps(request).encode()
    url = f"http://{data}/{method}"
    return json.loads(await output(*command, *options, "-d", "@-", url, said=said))


async def failure(data: str, method: str, request: Mapping[str, object], *options: str) -> Any:
    """The status and the error as it prints them."""
    with pytest.raises(Failed) as raised:
        await called(data, method, request, *options)
    status, _, text = str(raised.value).removeprefix("exit status ").partition(": ")
    return int(status) >> 3, json.loads(text)  # the status is gRPC's, three bits to the left


@SCHEMAS
async def test_route(data: str, schema: tuple[str, ...]) -> None:
    seen = await called(data, ROUTE, {"context": {"requestId": "r7"}}, *schema)
    assert seen["requestId"] == "r7"
    assert seen["cell"]["trafficClass"] == "all"
    assert seen["target"]["model"] == "small"


@SCHEMAS
async def test_a_tensor_request_reaches_the_endpoint(data: str, schema: tuple[str, ...]) -> None:
    request = {
        "modelName": "auto",
        "id": "7",
        "inputs": [{"name": "x", "shape": [1], "datatype": "BYTES"}],
        "rawInputContents": [400_000 * "QUJD"],
    }
    seen = await called(data, MODEL_INFER, request, *schema)
    assert (seen["modelName"], seen["id"]) == ("small", "7")


async def test_an_error_comes_with_its_details(data: str) -> None:
    status, error = await failure(data, ROUTE, {"context": {"trafficClass": "nope"}})
    assert status == Code.INVALID_ARGUMENT
    assert "there is no class 'nope'" in error["message"]
    kinds = {detail["type"] for detail in error["details"]}
    assert kinds == {"google.rpc.ErrorInfo", "google.rpc.BadRequest"}


async def test_metadata_of_every_character_is_taken(data: str) -> None:
    # Each has a Huffman code of its own. The option itself reads quotes and commas.
    text = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '",')
    headers = ("-H", f"x-long: {24 * text}", "-H", "x-bytes-bin: AP8=")
    assert (await called(data, ROUTE, {}, *headers))["target"]["model"] == "small"


async def test_a_stream_is_answered_before_it_ends(data: str) -> None:
    url = f"http://{data}/grpc.health.v1.Health/Watch"
    client = await started(*GRPC, "-v", "-d", "{}", url)
    assert client.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        # The first answer; the stream before it asked reflection.
        await client.stderr.readuntil(b"buf: { (#2) [2 bytes data]")
        os.killpg(client.pid, signal.SIGTERM)  # npm's buf starts another
        shown, _ = await client.communicate()
    assert json.loads(shown) == {"status": "SERVING"}


@pytest.mark.parametrize("protocol", ["grpcweb", "connect"])
async def test_what_is_not_grpc_is_refused_with_415(data: str, protocol: str) -> None:
    command = ("buf", "curl", "--http2-prior-knowledge", "--protocol", protocol, "-v")
    with pytest.raises(Failed, match="415"):
        await called(data, ROUTE, {}, "--schema", str(PROTOS), command=command)
