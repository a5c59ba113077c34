"""What came of a connection is handled for a turn at a time, whatever it is."""

from itertools import count

from server.transport.http2.connection import Connection
from server.transport.loop.intake import Intake
from tests.server.transport.http2.by_hand import SETTINGS, raw


def test_frames_of_which_nothing_comes_take_turns_too() -> None:
    clock = count(0.0, 1.0)
    http2 = Connection(client=True)
    intake = Intake(http2, {}, lambda: next(clock))
    unknown = raw(0xEE, 0, 0, bytes(100))
    intake.begin(raw(SETTINGS, 0, 0) + unknown * 640, 0.0)
    turns = 1
    while not intake.handle(next(clock) + 0.5):
        turns += 1
    assert turns >= 10
    assert http2.ended is None


def test_what_is_handled_came_when_it_was_read_however_long_it_waited() -> None:
    came: list[float] = []
    http2 = Connection(client=True)
    intake = Intake(http2, {}, lambda: 0.0, came.append)
    intake.begin(raw(SETTINGS, 0, 0), 1.0)
    intake.add(raw(0xEE, 0, 0, b"x"), 2.0)
    intake.add(raw(0xEE, 0, 0, bytes(10_000)), 3.0)
    assert came == [1.0]
    assert intake.handle(1.0)
    assert came == [1.0, 2.0, 3.0]
