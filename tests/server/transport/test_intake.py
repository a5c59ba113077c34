"""What came of a connection is handled for a turn at a time, whatever it is."""

from itertools import count

from server.transport.connection import Connection
from server.transport.intake import Intake
from tests.server.transport.by_hand import SETTINGS, raw


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
