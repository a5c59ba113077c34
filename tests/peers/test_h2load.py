"""h2load as the client: nghttp2, with as many requests at once as the server takes."""

from pathlib import Path

import pytest

from tests.peers.running import output

pytestmark = [pytest.mark.slow, pytest.mark.needs("h2load")]

REQUESTS = 4_000
GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")
# The service answers with as many bytes as the first word says.
MESSAGE = b"300 "
ANSWER_BYTES = 5 + 300


@pytest.fixture
def body(tmp_path: Path) -> Path:
    return written(tmp_path / "body", MESSAGE)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """For an answer of 100,000 bytes."""
    return written(tmp_path / "large", b"100000 ")


def written(path: Path, message: bytes) -> Path:
    path.write_bytes(b"\0" + len(message).to_bytes(4) + message)
    return path


async def loaded(address: str, *options: str) -> str:
    url = f"http://{address}/contract.Test/Unary"
    return await output("h2load", "-n", str(REQUESTS), *options, url)


@pytest.mark.parametrize(
    "layout",
    [("-c", "1", "-m", "100"), ("-c", "8", "-m", "32"), ("-c", "64", "-m", "1")],
    ids=["one connection", "several", "one call each"],
)
async def test_every_call_of_a_burst_is_answered(
    address: str, body: Path, layout: tuple[str, ...]
) -> None:
    said = await loaded(address, *layout, *GRPC, "-d", str(body))
    assert f"{REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert f"({REQUESTS * ANSWER_BYTES}) data" in said


async def test_answers_wait_for_small_windows(address: str, large: Path) -> None:
    said = await output(
        *("h2load", "-n", "200", "-c", "2", "-m", "20", "-w", "14", "-W", "15", *GRPC),
        *("-d", str(large), f"http://{address}/contract.Test/Unary"),
    )
    assert "200 done, 200 succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert f"({200 * 100_005}) data" in said


async def test_a_flood_of_what_is_not_grpc_is_refused_and_harms_nobody(
    address: str, body: Path
) -> None:
    said = await loaded(address, "-c", "8", "-m", "32")
    assert f"status codes: 0 2xx, 0 3xx, {REQUESTS} 4xx, 0 5xx" in said
    assert "0 errored, 0 timeout" in said
    after = await loaded(address, "-c", "1", "-m", "10", *GRPC, "-d", str(body))
    assert f"{REQUESTS} succeeded" in after
