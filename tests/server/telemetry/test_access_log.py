"""What is taken down of each request, and how it comes to be written."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.dispatch.exchange import CHAT, Asked
from server.routing.callers import Caller
from server.routing.catalog import PayloadKind
from server.routing.errors import ReaderStalled, RoutingError, Shed, StreamBroken
from server.routing.query import Query
from server.status_code import Code
from server.telemetry.access_log import AccessLog, Graded
from server.token_usage import NO_TOKENS, TokenUsage
from tests.server.telemetry.traced import Traced, config, model

NOW_S = 1_764_554_400.5  # 2025-12-01, 02:00:00.5 UTC
MODELS = config(
    model("own", "openai", "http://10.0.0.7:8000/v1", serves="chat"),
    model("big", "openai", "https://api.openai.com/v1", serves="chat"),
)
BODY = b'{"messages": [{"role": "user", "content": "a planted question"}]}'
USAGE = TokenUsage(input=7, cached_input=3, output=5, reasoning=4)


class File:
    """Stands for one, maybe on a disk that is full."""

    def __init__(self) -> None:
        self.written = b""
        self.is_full = False

    def write(self, lines: Sequence[bytes]) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.written += b"".join(lines)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written.splitlines()]


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def log(file: File) -> AccessLog:
    return AccessLog(file.write, now_s=lambda: NOW_S, waiting_max=3)


@pytest.fixture
def traced(log: AccessLog) -> Traced:
    made = Traced(0.0, MODELS)
    made.now_s, made.usage = NOW_S, USAGE
    made.dispatcher.on_ended = log.take_trip
    return made


def query(**said: Any) -> Query:
    caller = Caller("acme", key_id="k3v9x0q2ab")
    made = Query(payload_kind=PayloadKind.TEXT, text="a planted question", input_tokens=9, **said)
    made.sign(caller, tenant_at="context.tenant")
    return made


async def test_a_request_is_a_line_with_its_cell_its_model_and_what_it_took(
    traced: Traced, log: AccessLog, file: File
) -> None:
    traced.script = [b"a planted answer"]
    answer = await traced.dispatcher.infer(query(), Asked(BODY, CHAT), timeout_s=9.0)
    await log.flush()
    assert file.lines == [
        {
            "event": "request",
            "time": "2025-12-01T02:00:00.500+00:00",
            "by": "infer",
            "operation": "chat",
            "decision": answer.decision_id,
            "tenant": "acme",
            "key": "k3v9x0q2ab",
            "class": "all",
            "payer": "-",
            "domain": "other",
            "size": "s0",
            "payload": "text",
            "rule": "default",
            "basis": "greedy",
            "read_tokens": 9,
            "model": "own",
            "endpoint": "http://10.0.0.7:8000/v1",
            "fate": "answered",
            "input_tokens": 7,
            "cached_input_tokens": 3,
            "output_tokens": 5,
            "reasoning_tokens": 4,
            "latency_s": 0.0,
            "cost_nano_usd": 1_000_000,
        }
    ]


async def test_a_stream_is_a_line_when_it_has_ended_and_says_when_its_first_piece_came(
    traced: Traced, log: AccessLog, file: File
) -> None:
    traced.script = [[b"data: {}\n\n", b"data: {}\n\n"]]
    asked = Asked(BODY, CHAT, streams=True)
    async with traced.dispatcher.stream(query(), asked, timeout_s=9.0) as answer:
        assert [piece async for piece in answer.pieces]
    await log.flush()
    (line,) = file.lines
    assert (line["by"], line["fate"], line["decision"]) == (
        "stream",
        "answered",
        answer.decision_id,
    )
    assert (line["first_s"], line["latency_s"]) == (0.25, 0.5)


async def test_of_several_attempts_each_is_told(traced: Traced, log: AccessLog, file: File) -> None:
    traced.script = [Code.UNAVAILABLE, b"a planted answer"]
    await traced.dispatcher.infer(query(), Asked(BODY, CHAT), timeout_s=9.0)
    await log.flush()
    (line,) = file.lines
    assert (line["model"], line["fate"]) == ("big", "answered")
    failed, answered = line["attempts"]
    assert (failed["model"], failed["fate"], failed["error"]) == ("own", "failed", "UNAVAILABLE")
    assert (answered["model"], answered["output_tokens"]) == ("big", 5)


async def test_a_request_that_no_model_answered_says_why_and_has_no_decision(
    traced: Traced, log: AccessLog, file: File
) -> None:
    traced.script = [Code.INVALID_ARGUMENT]
    with pytest.raises(RoutingError):
        await traced.dispatcher.infer(query(), Asked(BODY, CHAT), timeout_s=9.0)
    await log.flush()
    (line,) = file.lines
    assert (line["fate"], line["error"]) == ("failed", "INVALID_ARGUMENT")
    assert "decision" not in line
    assert b"words" not in file.written


async def test_no_line_holds_what_was_asked_or_answered(
    traced: Traced, log: AccessLog, file: File
) -> None:
    traced.script = [b'{"id": "a planted answer"}']
    labels = {"note": "a planted label"}
    await traced.dispatcher.infer(query(labels=labels), Asked(BODY, CHAT), timeout_s=9.0)
    await log.flush()
    assert file.lines
    assert b"planted" not in file.written


async def test_what_was_refused_before_a_model_was_asked_is_a_line_too(
    log: AccessLog, file: File
) -> None:
    for reason in (Shed.reason, StreamBroken.reason, ReaderStalled.reason, "UPSTREAM_UNAVAILABLE"):
        log.take_refusal(reason)  # the others have a line of their own
    await log.flush()
    (line,) = file.lines
    assert (line["fate"], line["reason"]) == ("refused", Shed.reason)


async def test_a_report_is_a_line(log: AccessLog, file: File) -> None:
    log.take_report(Graded("d1", NOW_S, 0.5, "big", USAGE, 0.25, failed=False))
    log.take_report(Graded("d2", NOW_S, None, "", NO_TOKENS, None, failed=False))
    await log.flush()
    assert file.lines[0] == {
        "event": "report",
        "time": "2025-12-01T02:00:00.500+00:00",
        "decision": "d1",
        "model": "big",
        "quality": 0.5,
        "input_tokens": 7,
        "cached_input_tokens": 3,
        "output_tokens": 5,
        "reasoning_tokens": 4,
        "latency_s": 0.25,
    }
    assert file.lines[1].keys() == {"event", "time", "decision"}


async def test_lines_beyond_those_that_may_wait_are_counted_and_left_out(
    log: AccessLog, file: File
) -> None:
    for _ in range(8):
        log.take_refusal(Shed.reason)
    await log.flush()
    assert [line["event"] for line in file.lines] == ["request"] * 3 + ["left out"]
    assert file.lines[-1]["lines"] == 5


async def test_what_cannot_be_written_is_counted_and_the_log_says_so_once(
    log: AccessLog, file: File
) -> None:
    file.is_full = True
    with capture_logs() as said:
        for _ in range(2):
            log.take_refusal(Shed.reason)
            await log.flush()
    (entry,) = said
    assert (entry["log_level"], entry["error"]) == ("error", "No space left on device")
    file.is_full = False
    log.take_refusal(Shed.reason)
    await log.flush()
    assert [line["event"] for line in file.lines] == ["request", "left out"]
    assert file.lines[-1]["lines"] == 2
