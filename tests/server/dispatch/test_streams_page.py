"""docs/streams.md says what becomes of each fault of a stream: each row is tried as it stands."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.config.classes import SloConfig
from server.routing.patience import ANSWERS_MIN
from server.status_code import Code
from tests.server.dispatch.streamed import EVENT, Endpoint, Read, Step, Streams, charge
from tests.server.virtual_loop import run

PAGE = Path(__file__).parents[3] / "docs" / "streams.md"
SLO = SloConfig(ms=30_000, fraction=0.9)
LARGE = EVENT * 512
_MORE: list[Step] = [0.5, EVENT] * 1_000
SLOW: list[Step] = [EVENT, *_MORE]


@dataclass(frozen=True)
class Fault:
    """How an endpoint and a caller behave."""

    endpoint: Callable[[], Endpoint]
    pause_s: float = 0.0
    most: int | None = None
    timeout_s: float | None = None
    is_known: bool = False  # that its answers take two seconds
    slo: SloConfig = SLO


FAULTS = {
    "refused, reset or UNAVAILABLE before": Fault(lambda: Endpoint(refuses=Code.UNAVAILABLE)),
    "nothing comes at all": Fault(lambda: Endpoint([1_000.0])),
    "the head of an answer": Fault(lambda: Endpoint([])),
    "the caller's mistake": Fault(lambda: Endpoint(refuses=Code.INVALID_ARGUMENT)),
    "cut between": Fault(lambda: Endpoint([EVENT, EVENT, Code.UNAVAILABLE])),
    "garbage between": Fault(lambda: Endpoint([EVENT, EVENT, Code.INTERNAL])),
    "silent between": Fault(lambda: Endpoint([EVENT, 2.5, EVENT]), is_known=True),
    "the deadline passes while pieces": Fault(lambda: Endpoint(SLOW), timeout_s=5.0),
    "its usage is not told": Fault(lambda: Endpoint([EVENT] * 5)),
    "the caller leaves": Fault(lambda: Endpoint(SLOW), most=1),
    "the caller takes nothing": Fault(lambda: Endpoint([LARGE] * 1_000), pause_s=1_000.0),
    "the deadline passes while the caller": Fault(
        lambda: Endpoint([LARGE] * 1_000), pause_s=5.0, timeout_s=20.0
    ),
}


def rows() -> list[tuple[str, ...]]:
    text = PAGE.read_text().partition("## What a network does")[0]
    table = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [tuple(row.split(" | ")) for row in table if not row.startswith(("fault", "---"))]


def test_every_fault_that_is_tried_is_on_the_page_and_no_other() -> None:
    assert [fault.startswith(name) for (fault, *_), name in zip(rows(), FAULTS, strict=True)] == [
        True
    ] * len(FAULTS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_what_becomes_of_a_fault_is_what_the_page_says(row: tuple[str, ...]) -> None:
    fault = next(fault for name, fault in FAULTS.items() if row[0].startswith(name))

    async def scene() -> tuple[str, ...]:
        given = Streams(slo=fault.slo)
        if fault.is_known:
            given.small.steps = [EVENT, 2.0, EVENT]
            for _ in range(ANSWERS_MIN):
                await given.read()
        before = given.counts() if fault.is_known else None
        begun = (before.failed, before.answered) if before else (0, 0)
        given.small, given.large.asked = fault.endpoint(), 0
        read = await given.read(pause_s=fault.pause_s, timeout_s=fault.timeout_s, most=fault.most)
        assert given.nothing_is_left()
        return (
            got(given, read, fault),
            paid(given, read),
            counted(given, begun),
            "never" if row[4] == "never" and not given.is_ejected() else judged(given, row[4]),
        )

    assert run(scene()) == row[1:]


def got(given: Streams, read: Read, fault: Fault) -> str:
    if given.large.asked:
        assert (read.whole, read.error) == (EVENT * 2, None)
        return "another model's answer"
    came = "what it took" if fault.most or fault.pause_s else "what came"
    if read.error is not None:
        reason = f"`{read.error.reason}`"
        return f"{came}, then {reason}" if read.pieces else reason
    return came if fault.most else "the whole answer"


def paid(given: Streams, read: Read) -> str:
    if read.answer is None:
        return "nothing"
    cost = read.answer.cost_nano_usd
    if given.large.asked:
        assert cost == charge(written=2)  # of the other's two events, and nothing of the first
        return "the other's answer"
    assert cost == charge(written=given.small.events)
    return "what came"


def counted(given: Streams, begun: tuple[int, int]) -> str:
    counts = given.counts()
    failed, answered = counts.failed - begun[0], counts.answered - begun[1]
    if given.large.asked:
        assert (failed, answered, counts.attempts) == (0, 0, 1)
        return "not answered"
    if failed:
        assert (answered, counts.slo_missed) == (0, 1)
        return "failed, SLO missed"
    return "answered" if answered else "says nothing"


def judged(given: Streams, said: str) -> str:
    """What ejects an endpoint at its first failure was one."""
    return said if given.is_ejected() and said != "never" else "not ejected"


def test_the_page_says_when_a_caller_is_ended() -> None:
    async def scene() -> None:
        begun_s = asyncio.get_running_loop().time()
        given = Streams(Endpoint([LARGE] * 1_000))
        await given.read(pause_s=1_000.0)
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(30.0, abs=0.1)

    run(scene())
