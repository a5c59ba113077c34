"""@grpc/grpc-js on Node as the client: an HTTP/2, an HPACK and a gRPC of its own."""

import ast
import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from server.status_code import Code
from server.transport.serving.server import Server
from server.transport.sockets.tls import server_context
from tests.contract.service import ECHO_INITIAL, ECHO_TRAILING, TestService
from tests.peers.running import NODE, PATIENCE_S, output, output_of, started
from tests.server.certificates import Authority

pytestmark = [pytest.mark.slow, pytest.mark.needs("node"), pytest.mark.usefixtures("grpc_js")]

CALLS = NODE / "calls.js"
REQUEST_BYTES = 27_182 + 8 + 1_828 + 45_904
RESPONSE_SIZES = [31_415, 9, 2_653, 58_979]


async def called(address: str, case: str, *files: Path) -> Any:
    return json.loads(await output("node", CALLS, address, case, *files))


@pytest.mark.parametrize(
    ("case", "sizes"),
    [
        ("empty", [0]),
        ("unary", [314_159]),
        ("largest", [1_048_576]),
        ("compressed", [314_159]),
        ("serverStreaming", RESPONSE_SIZES),
        ("clientStreaming", [len(str(REQUEST_BYTES))]),
        ("bidi", RESPONSE_SIZES),
        ("bidiFlood", 20 * [500_000]),
    ],
)
async def test_calls_of_each_kind(address: str, case: str, sizes: list[int]) -> None:
    seen = await called(address, case)
    assert (seen["code"], seen["sizes"]) == (Code.OK, sizes)


async def test_many_at_once(address: str) -> None:
    assert await called(address, "many") == [[Code.OK, size] for size in range(300)]


async def test_the_servicer_sees_repeated_and_binary_metadata(address: str) -> None:
    pairs = ast.literal_eval(await called(address, "metadataSeen"))
    seen = [pair for pair in pairs if pair[0] in ("a", "b-bin")]
    assert seen == [("a", "1"), ("a", "2"), ("b-bin", b"\0\xff")]


async def test_the_client_sees_initial_and_trailing_metadata(address: str) -> None:
    seen = await called(address, "metadataEchoed")
    assert [ECHO_INITIAL, "initial"] in seen["initial"]
    assert [ECHO_TRAILING, [0xAB, 0, 0xAB]] in seen["trailing"]


@pytest.mark.parametrize(
    ("case", "code", "details"),
    [
        ("status", Code.FAILED_PRECONDITION, "précondition\t☃ 100% 😈"),
        ("abort", Code.ABORTED, "no"),
    ],
)
async def test_errors_come_with_their_words(
    address: str, case: str, code: Code, details: str
) -> None:
    seen = await called(address, case)
    assert (seen["code"], seen["details"], seen["sizes"]) == (code, details, [])


async def test_errors_come_with_their_metadata(address: str) -> None:
    seen = await called(address, "abort")
    assert ["why", "so"] in seen["trailing"]
    assert ["why-bin", [0]] in seen["trailing"]


@pytest.mark.parametrize(
    ("case", "code"),
    [("tooLarge", Code.RESOURCE_EXHAUSTED), ("unimplemented", Code.UNIMPLEMENTED)],
)
async def test_what_we_do_not_take_is_refused(address: str, case: str, code: Code) -> None:
    assert (await called(address, case))["code"] == code


async def test_a_deadline_ends_the_call_at_both_ends(address: str, service: TestService) -> None:
    assert (await called(address, "deadline"))["code"] == Code.DEADLINE_EXCEEDED
    async with asyncio.timeout(PATIENCE_S):
        await service.cancelled.wait()


async def test_a_cancelled_call_is_cancelled_at_the_server(
    address: str, service: TestService
) -> None:
    client = await started("node", CALLS, address, "cancel")
    async with asyncio.timeout(PATIENCE_S):
        await service.waiting.wait()
        assert json.loads(await output_of(client, b"cancel\n"))["code"] == Code.CANCELLED
        await service.cancelled.wait()


async def test_tls(service: TestService, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = Server(chance=lambda: 0.5)
    server.add_generic_rpc_handlers((service.handlers(),))
    address = await server.listen(
        "127.0.0.1:0", server_context(authority.issue("server", "127.0.0.1"))
    )
    seen = await called(address, "unary", authority.file)
    await server.stop(0)
    assert (seen["code"], seen["sizes"]) == (Code.OK, [314_159])
