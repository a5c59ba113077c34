"""Keys, headers and certificates that endpoints are asked with."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.named_files.keys import LOOK_EVERY_S
from server.routing.catalog import Model
from server.status_code import Code
from server.upstream.openai.access import Access
from tests.server.certificates import Authority
from tests.server.upstream.openai.asking import asking, compiled
from tests.server.upstream.openai.endpoint import (
    CHUNKS,
    FakeEndpoint,
    Received,
    refusing,
    serving,
    well,
)


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with serving(made):
        yield made


async def test_a_key_and_headers_go_with_every_request(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    (tmp_path / "team").write_text("blue\n")
    headers = [
        {"name": "OpenAI-Organization", "value": "org-1"},
        {"name": "x-key", "env": "B_KEY"},
        {"name": "x-team", "file": str(tmp_path / "team")},
    ]
    environ = {"A_KEY": "sk-a", "B_KEY": "sk-b"}
    async with asking(endpoint.url, environ, api_key_env="A_KEY", headers=headers) as asked:
        await asked.whole()
        await asked.streamed()
        assert await asked.upstream.is_ready(asked.url, asked.model, 5)
    for received in endpoint.requests:
        sent = received.headers
        assert sent["authorization"] == "Bearer sk-a"
        assert (sent["openai-organization"], sent["x-key"], sent["x-team"]) == (
            *("org-1", "sk-b", "blue"),
        )
    assert [one.line for one in endpoint.requests] == [
        "POST /v1/chat/completions HTTP/1.1",
        "POST /v1/chat/completions HTTP/1.1",
        "GET /v1/models HTTP/1.1",
    ]


async def test_without_its_key_a_model_is_not_asked(endpoint: FakeEndpoint) -> None:
    async with asking(endpoint.url, {}, api_key_env="A_KEY") as asked:
        failed = await asked.fails()
        assert not await asked.upstream.is_ready(asked.url, asked.model, 5)
    assert (failed.code, failed.is_sent) == (Code.UNAUTHENTICATED, False)
    assert endpoint.requests == []


def taking(*keys: str) -> FakeEndpoint:
    """An endpoint that knows these keys."""

    async def check(received: Received, writer: asyncio.StreamWriter) -> None:
        known = received.headers.get("authorization", "").removeprefix("Bearer ") in keys
        await (well if known else refusing(401, {"message": "no"}))(received, writer)

    return FakeEndpoint(check)


def rotated(tmp_path: Path) -> tuple[Access, list[float]]:
    """Access by a key that has just been replaced, and the clock it reads."""
    file, now_s = tmp_path / "key", [0.0]
    file.write_text("old")
    access = Access(compiled(api_key_file=str(file)), {}, now_s=lambda: now_s[0])
    assert [headers["Authorization"] for headers in access.headers()] == ["Bearer old"]
    file.write_text("newer")
    now_s[0] += LOOK_EVERY_S
    return access, now_s


def test_a_rotated_key_is_tried_first_and_the_one_before_it_after_it(tmp_path: Path) -> None:
    access, _ = rotated(tmp_path)
    tried = [headers["Authorization"] for headers in access.headers()]
    assert tried == ["Bearer newer", "Bearer old"]


@pytest.mark.parametrize("known", ["old", "newer"])
async def test_a_request_is_answered_whichever_key_of_a_rotation_the_endpoint_knows(
    known: str, tmp_path: Path
) -> None:
    file, now_s = tmp_path / "key", [0.0]
    file.write_text("old")
    endpoint = taking("old")
    async with (
        serving(endpoint),
        asking(endpoint.url, now_s=lambda: now_s[0], api_key_file=str(file)) as asked,
    ):
        await asked.whole()
        file.write_text("newer")
        now_s[0] += LOOK_EVERY_S
        endpoint.behaviour = taking(known).behaviour
        await asked.whole()
        assert await asked.streamed() == b"".join(CHUNKS)


async def test_a_key_that_is_refused_is_told_as_such() -> None:
    endpoint = taking("another")
    async with (
        serving(endpoint),
        asking(endpoint.url, {"A_KEY": "sk-a"}, api_key_env="A_KEY") as asked,
    ):
        failed = await asked.fails()
        assert not await asked.upstream.is_ready(asked.url, asked.model, 5)
    assert (failed.code, str(failed)) == (
        Code.UNAUTHENTICATED,
        "it answered with status 401",
    )


def server_side(authority: Authority, *, asks: bool = False) -> ssl.SSLContext:
    files = authority.issue("endpoint", "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert_file, files.key_file)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)
    return context


async def test_an_authority_of_ones_own_is_trusted(tmp_path: Path) -> None:
    authority, endpoint = Authority(tmp_path), FakeEndpoint()
    async with (
        serving(endpoint, tls=server_side(authority), host="localhost"),
        asking(endpoint.url, tls={"ca_file": str(authority.file)}) as asked,
    ):
        await asked.whole()
        assert await asked.streamed() == b"".join(CHUNKS)


async def test_a_certificate_of_no_authority_that_is_trusted_is_refused(tmp_path: Path) -> None:
    endpoint = FakeEndpoint()
    async with (
        serving(endpoint, tls=server_side(Authority(tmp_path)), host="localhost"),
        asking(endpoint.url) as asked,
    ):
        failed = await asked.fails()
    assert (failed.code, failed.is_sent) == (Code.UNAVAILABLE, False)
    assert "certificate" in str(failed)
    assert endpoint.requests == []


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    authority, endpoint = Authority(tmp_path), FakeEndpoint()
    async with (
        serving(endpoint, tls=server_side(authority), host="127.0.0.1"),
        asking(endpoint.url, tls={"ca_file": str(authority.file)}) as asked,
    ):
        assert (await asked.fails()).is_sent is False


async def test_a_certificate_is_shown_to_who_asks_for_one(tmp_path: Path) -> None:
    authority, endpoint = Authority(tmp_path), FakeEndpoint()
    ours = authority.issue("ours", "turnout.example")
    tls = {"ca_file": str(authority.file), "cert_file": ours.cert_file, "key_file": ours.key_file}
    async with serving(endpoint, tls=server_side(authority, asks=True), host="localhost"):
        async with asking(endpoint.url, tls=tls) as asked:
            await asked.whole()
        async with asking(endpoint.url, tls={"ca_file": str(authority.file)}) as asked:
            assert (await asked.fails()).code is Code.UNAVAILABLE


async def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    async with asking("https://localhost:9/v1", tls={"ca_file": f"{tmp_path}/none"}) as asked:
        failed = await asked.fails()
    assert "ca_file cannot be read: No such file" in str(failed)
    assert not failed.is_sent


def test_access_is_kept_from_one_configuration_to_the_next_where_it_is_the_same() -> None:
    def model(**changes: object) -> Model:
        return compiled(api_key_env="A_KEY", **changes)

    access = Access(model(), {}, now_s=lambda: 0.0)
    assert access.is_of(model(version="2"))
    assert not access.is_of(model(headers=[{"name": "a", "value": "b"}]))
