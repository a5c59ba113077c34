"""Makes sense of frames again after they were changed: a connection lives to see the rest."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.fuzz import frames
from benchmarks.fuzz.frames import END_HEADERS, END_STREAM, PREFACE, Frame, read_frames
from benchmarks.fuzz.mutate import Mutation

FRAME_BYTES_MAX = 16_384
# How often a change is left as it is, for what breaks HTTP/2 is of interest too.
_AS_IT_IS = 0.2
_PARAMETER_BYTES = 6
_BYTES: Mapping[int, int] = {
    frames.PRIORITY: 5,
    frames.RST_STREAM: 4,
    frames.PING: 8,
    frames.WINDOW_UPDATE: 4,
}
_NOTHING = bytes(4)  # by which no window is opened
_ENDING = (frames.PUSH_PROMISE, frames.GOAWAY)


def mended(given: Iterable[Frame]) -> Iterator[Frame]:
    """Frames that a client may send: streams begin in order, and blocks are whole."""
    session = _Session()
    for frame in given:
        yield from session.say(frame)


def mending(mutation: Mutation) -> Mutation:
    """Mends what came of a change, as a rule."""

    def change(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
        changed = mutation(data, dice, others)
        if dice.random() < _AS_IT_IS:
            return changed
        start = 1 + len(PREFACE)  # behind the byte that says how it is read
        octets = b"".join(frame.octets() for frame in mended(read_frames(changed[start:])))
        return data[:1] + PREFACE + octets

    return change


class _Session:
    """What was said so far."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}  # of each stream that is open, by its number as given
        self._newest = -1
        self._block: Frame | None = None  # whose rest is to come

    def say(self, frame: Frame) -> Iterator[Frame]:
        frame = _sized(frame)
        if frame.kind == frames.CONTINUATION:
            yield from self._go_on(frame)
            return
        yield from self._end_block()
        if frame.kind == frames.HEADERS:
            yield self._begin(frame)
        elif frame.kind in (frames.SETTINGS, frames.PING):
            yield frame._replace(stream_id=0, flags=0)
        elif frame.stream_id in self._places and frame.kind not in _ENDING:
            yield self._follow(frame)
        elif frame.kind == frames.WINDOW_UPDATE:
            yield frame._replace(stream_id=0)

    def _begin(self, frame: Frame) -> Frame:
        """A head on a stream that is open or has been begins another one."""
        self._newest += 2
        self._places[frame.stream_id] = self._newest
        head = frame._replace(
            stream_id=self._newest, flags=frame.flags & (END_HEADERS | END_STREAM)
        )
        self._block = None if head.flags & END_HEADERS else head
        return head

    def _follow(self, frame: Frame) -> Frame:
        place = self._places[frame.stream_id]
        flags = frame.flags & END_STREAM if frame.kind == frames.DATA else 0
        if flags or frame.kind == frames.RST_STREAM:
            del self._places[frame.stream_id]
        return frame._replace(stream_id=place, flags=flags)

    def _go_on(self, frame: Frame) -> Iterator[Frame]:
        if self._block is not None:
            flags = frame.flags & END_HEADERS
            yield frame._replace(stream_id=self._block.stream_id, flags=flags)
            self._block = None if flags else self._block

    def _end_block(self) -> Iterator[Frame]:
        if self._block is not None:
            yield Frame(frames.CONTINUATION, END_HEADERS, self._block.stream_id, b"")
            self._block = None


def _sized(frame: Frame) -> Frame:
    """With as much content as its kind has."""
    payload, size = frame.payload[:FRAME_BYTES_MAX], _BYTES.get(frame.kind)
    if frame.kind == frames.SETTINGS:
        payload = payload[: len(payload) // _PARAMETER_BYTES * _PARAMETER_BYTES]
    elif size is not None:
        payload = payload[:size].ljust(size, b"\0")
    if frame.kind == frames.WINDOW_UPDATE and payload == _NOTHING:
        payload = b"\0\0\0\1"
    return frame._replace(payload=payload)
