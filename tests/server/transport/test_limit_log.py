"""What is logged of limits, and how little of it, however often they are reached."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.limit_log import LINES_MAX, PERIOD_S, LimitLog

PEER = "ipv4:192.0.2.1:1234"
REACHED = ("limit reached", {"limit": "pings", "peer": PEER})
Line = tuple[str, dict[str, object]]


class Paper:
    """A log that can be read, and the one timer."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.log = LimitLog(lambda after_s, call: self.timers.append((after_s, call)), self)

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    def end_period(self) -> None:
        ((after_s, call),) = self.timers
        assert after_s == PERIOD_S
        self.timers.clear()
        call()


def test_a_limit_that_is_reached_is_logged_with_the_address_of_the_peer() -> None:
    paper = Paper()
    paper.log.log_limit("pings", peer=PEER)
    assert paper.lines == [REACHED]


@pytest.mark.parametrize("limit", ["age", "idle"])
def test_a_connection_that_retires_in_time_is_not_logged(limit: str) -> None:
    paper = Paper()
    paper.log.log_limit(limit, peer=PEER)
    assert paper.lines == []


def test_a_handshake_that_fails_is_logged_with_its_reason() -> None:
    paper = Paper()
    paper.log.log_handshake(PEER, "HTTP_REQUEST")
    assert paper.lines == [("TLS handshake failed", {"peer": PEER, "why": "HTTP_REQUEST"})]


def test_a_flood_is_a_few_lines_and_then_one_that_counts_the_rest() -> None:
    paper = Paper()
    for _ in range(1_000):
        paper.log.log_limit("pings", peer=PEER)
    assert paper.lines == [REACHED] * LINES_MAX
    paper.end_period()
    rest = {"limit": "pings", "left_out": 1_000 - LINES_MAX}
    assert paper.lines[LINES_MAX:] == [("more of the same was not logged", rest)]


def test_a_flood_of_one_limit_hides_no_other() -> None:
    paper = Paper()
    for _ in range(1_000):
        paper.log.log_handshake(PEER, "HTTP_REQUEST")
    paper.log.log_limit("pings", peer=PEER)
    assert paper.lines[-1] == REACHED


def test_the_next_period_has_lines_of_its_own() -> None:
    paper = Paper()
    for _ in range(LINES_MAX):
        paper.log.log_limit("pings", peer=PEER)
    paper.end_period()
    paper.log.log_limit("pings", peer=PEER)
    assert paper.lines == [REACHED] * (LINES_MAX + 1)
    paper.end_period()
    assert len(paper.lines) == LINES_MAX + 1


@given(periods=st.lists(st.lists(st.sampled_from(["pings", "stall", "request"]), max_size=50)))
def test_every_time_is_told_in_a_line_of_its_own_or_in_a_count(periods: list[list[str]]) -> None:
    paper, told = Paper(), Counter[object]()
    for names in periods:
        for name in names:
            paper.log.log_limit(name, peer=PEER)
        if names:
            paper.end_period()
    for _, fields in paper.lines:
        told[fields["limit"]] += int(str(fields.get("left_out", 1)))
    assert told == Counter(name for names in periods for name in names)
    assert len(paper.lines) <= 3 * (LINES_MAX + 1) * len(periods)
