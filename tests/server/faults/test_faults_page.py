"""docs/streams.md says what becomes of each fault of a network: each is tried at both doors."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from server.upstream.openai.events import EVENT_BYTES_MAX
from tests.server.faults.both_doors import Doors, Got, both_doors
from tests.server.faults.fault_proxy import (
    Breaking,
    FaultProxy,
    babbling_after,
    breaking,
    cutting_after,
    holding,
    passing,
    resetting,
    saying,
)
from tests.server.upstream.openai.endpoint import (
    CHUNKS,
    DONE,
    EVENTS,
    USAGE,
    FakeEndpoint,
    chunked,
    head,
    serving,
    streaming,
    whole,
)

PAGE = Path(__file__).parents[3] / "docs" / "streams.md"
HEAD = head(content_type=EVENTS, Transfer_Encoding="chunked")
FIRST = len(HEAD) + len(chunked(CHUNKS[0]))
SHORT_S = 1.0
SECOND = chunked(CHUNKS[1])
FAILED = b'data: {"error": {"message": "it broke", "code": 500}}\n\n'


def refusing(status: int, **headers: str) -> Breaking:
    return saying(whole(b'{"error": {"message": "no"}}', status, **headers))


class Fault(NamedTuple):
    """What the proxy does; without, nobody listens where it was."""

    breaking: Breaking | None
    is_alone: bool = False  # no other model, and a deadline that ends it


FAULTS: dict[str, Fault] = {
    "refused": Fault(None),
    "reset": Fault(resetting),
    "a black hole": Fault(holding(b""), is_alone=True),
    "a head that stops": Fault(holding(HEAD[:20]), is_alone=True),
    "a head and no event": Fault(holding(HEAD), is_alone=True),
    "garbage for": Fault(saying(b"\x00\xffSSH-2.0-x\r\n")),
    "429 with": Fault(refusing(429, retry_after="7")),
    "429 without": Fault(refusing(429)),
    "500": Fault(refusing(500)),
    "an error as": Fault(saying(HEAD + chunked(FAILED) + b"0\r\n\r\n")),
    "another content": Fault(saying(whole(b"<p>hello</p>", content_type="text/html"))),
    "cut within": Fault(cutting_after(FIRST, SECOND[:30])),
    "an error after": Fault(cutting_after(FIRST, chunked(FAILED) + b"0\r\n\r\n")),
    "garbage in": Fault(cutting_after(FIRST, b"no chunk\r\n")),
    "an event without": Fault(babbling_after(FIRST, chunked(b"x" * (EVENT_BYTES_MAX // 4)))),
    "usage that": Fault(saying(HEAD + b"".join(map(chunked, [*CHUNKS, DONE])) + b"0\r\n\r\n")),
    "none": Fault(passing),
}


def rows() -> list[tuple[str, ...]]:
    text = PAGE.read_text().partition("## What a network does")[2].partition("\n## ")[0]
    table = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [tuple(row.split(" | ")) for row in table if not row.startswith(("fault", "---"))]


def test_every_fault_of_a_network_that_is_tried_is_on_the_page_and_no_other() -> None:
    assert len(rows()) == len(FAULTS)
    assert all(row[0].startswith(name) for row, name in zip(rows(), FAULTS, strict=True))


@asynccontextmanager
async def told_usage() -> AsyncIterator[FakeEndpoint]:
    endpoint = FakeEndpoint(streaming(*CHUNKS, USAGE, DONE))
    async with serving(endpoint):
        yield endpoint


@asynccontextmanager
async def broken(fault: Fault) -> AsyncIterator[tuple[Doors, FaultProxy]]:
    """Small is behind a proxy, and large is well."""
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(told_usage())
        large = await stack.enter_async_context(told_usage())
        async with AsyncExitStack() as listening:
            proxy = await listening.enter_async_context(breaking(port_of(small)))
            kept = listening.pop_all()
        if fault.breaking is None:
            await kept.aclose()
        else:
            stack.push_async_callback(kept.aclose)
            proxy.breaking = fault.breaking
        urls = [proxy.url] if fault.is_alone else [proxy.url, large.url]
        deadline_s = SHORT_S if fault.is_alone else 30.0
        yield await stack.enter_async_context(both_doors(*urls, deadline_s=deadline_s)), proxy


def port_of(endpoint: FakeEndpoint) -> int:
    return int(endpoint.url.rpartition(":")[2].partition("/")[0])


@pytest.mark.parametrize("door", ["http", "grpc"])
@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
async def test_what_a_network_does_is_told_paid_and_counted_as_the_page_says(
    row: tuple[str, ...], door: str
) -> None:
    fault = next(fault for name, fault in FAULTS.items() if row[0].startswith(name))
    async with broken(fault) as (doors, proxy):
        got = await doors.ask(door, proxy.heard)
        assert (seen(got), paid(doors, got), counted(doors)) == row[1:]
        assert doors.nothing_is_left()


def seen(got: Got) -> str:
    if got.is_whole:
        assert text_of(got) == "Paris"
        return "another model's answer" if got.model == "large" else "the whole answer"
    if got.events:
        assert text_of(got) == "Pa"
    return f"what came, then `{got.reason}`" if got.events else f"`{got.reason}`"


def text_of(got: Got) -> str:
    deltas = [json.loads(event)["choices"][0]["delta"] for event in got.events]
    return "".join(delta.get("content", "") for delta in deltas)


def paid(doors: Doors, got: Got) -> str:
    counts = doors.counts()
    if got.model == "large":
        assert counts.cost_nano_usd == 0
        return "the other's answer"
    if counts.cost_nano_usd == 0:
        return "nothing"
    assert counts.cost_nano_usd == 1_000_000 + 10_000 * counts.output_tokens
    if counts.estimated:
        assert counts.output_tokens == len(got.events)
        return "what came"
    assert counts.output_tokens == 2  # as USAGE has it
    return "what is told"


def counted(doors: Doors) -> str:
    counts = doors.counts()
    if counts.answered:
        assert counts.failed == 0
        return "answered"
    if counts.failed:
        assert counts.slo_missed == 1
        return "failed, SLO missed"
    return "not answered" if counts.attempts else "not asked"


@pytest.mark.parametrize("door", ["http", "grpc"])
@pytest.mark.parametrize("cut", range(1, len(SECOND) - 2))
async def test_no_caller_gets_a_part_of_an_event_at_whichever_byte_it_is_cut(
    cut: int, door: str
) -> None:
    async with broken(Fault(cutting_after(FIRST, SECOND[:cut]))) as (doors, proxy):
        got = await doors.ask(door, proxy.heard)
        assert seen(got) == "what came, then `STREAM_BROKEN`"
