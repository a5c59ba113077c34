"""Changes of inputs that are HTTP/2, frame by frame; and what frames mean to whoever looks on."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.fuzz import mutate
from benchmarks.fuzz.mutate import Mutation

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4

_HEAD_BYTES = 9
_FRAMES_MAX = 512
_TIMES = (2, 5, 30, 200, 2_000)
# Of HPACK: kept in the table, or not; the last that was kept; a smaller table; Huffman-coded; long.
_FIELDS = (
    b"\x40\x01x\x01x", b"\0\x01x\x01x", b"\x10\x01x\0", b"\xbe", b"\xbf", b"\x3f\xe1\x1f",
    b"\0\x01x\x9f" + b"\x1f" * 31, b"\x40\x01x\x7f\x80\x01" + b"x" * 255, b"\x0f\x2f\x01x",
)  # fmt: skip
_STREAM_IDS = (0, 1, 2, 3, 5, 7, 2**31 - 1, 2**32 - 1)
_PREFIX_BYTES = 5


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes

    def octets(self) -> bytes:
        head = len(self.payload).to_bytes(3) + bytes((self.kind, self.flags))
        return head + self.stream_id.to_bytes(4) + self.payload


def read_frames(octets: bytes) -> Iterator[Frame]:
    """Whole frames; a rest that is none is left out."""
    at = 0
    while at + _HEAD_BYTES <= len(octets):
        end = at + _HEAD_BYTES + int.from_bytes(octets[at : at + 3])
        if end > len(octets):
            return
        stream_id = int.from_bytes(octets[at + 5 : at + _HEAD_BYTES])
        yield Frame(octets[at + 3], octets[at + 4], stream_id, octets[at + _HEAD_BYTES : end])
        at = end


def inflated_bytes(octets: bytes, bytes_max: int) -> int:
    """How long it is with its compressed messages as they are read, each up to a size."""
    bodies: dict[int, bytearray] = {}
    for frame in read_frames(octets.removeprefix(PREFACE)):
        if frame.kind == DATA:
            bodies.setdefault(frame.stream_id, bytearray()).extend(frame.payload)
    return len(octets) + sum(_inflated(bytes(body), bytes_max) for body in bodies.values())


def _inflated(body: bytes, bytes_max: int) -> int:
    at = size = 0
    while at + _PREFIX_BYTES <= len(body):
        start = at + _PREFIX_BYTES
        end = start + int.from_bytes(body[at + 1 : start])
        if body[at] == 1:
            size += mutate.inflated_bytes(body[start:end], bytes_max)
        at = end
    return size


def _changed(data: bytes, dice: random.Random) -> bytes:
    """One of the frames, or their order; the byte that says how they are read stays."""
    start = 1 + (len(PREFACE) if data.startswith(PREFACE, 1) else 0)
    found = []
    at = start
    for frame in read_frames(data[start:]):
        found.append(frame)
        at += _HEAD_BYTES + len(frame.payload)
        if len(found) == _FRAMES_MAX:
            break
    if not found:
        return data
    i = dice.randrange(len(found))
    octets = [frame.octets() for frame in found]
    octets[i] = dice.choice(_CHANGES)(found[i], dice)
    if dice.random() < 0.2:  # noqa: PLR2004 - at times
        octets.insert(dice.randrange(len(octets)), octets.pop(i))
    return data[:start] + b"".join(octets) + data[at:]


def _again(frame: Frame, dice: random.Random) -> bytes:
    return frame.octets() * dice.choice(_TIMES)


def _on_new_streams(frame: Frame, dice: random.Random) -> bytes:
    """The same on streams of their own."""
    first = frame.stream_id % 2**31 | 1
    ids = range(first, first + 2 * dice.choice(_TIMES), 2)
    return b"".join(frame._replace(stream_id=i % 2**31).octets() for i in ids)


def _flagged(frame: Frame, dice: random.Random) -> bytes:
    return frame._replace(flags=frame.flags ^ 1 << dice.randrange(8)).octets()


def _elsewhere(frame: Frame, dice: random.Random) -> bytes:
    return frame._replace(stream_id=dice.choice(_STREAM_IDS)).octets()


def _of_another_kind(frame: Frame, dice: random.Random) -> bytes:
    return frame._replace(kind=dice.randrange(12)).octets()


def _split(frame: Frame, dice: random.Random) -> bytes:
    """In two at any place: DATA as DATA, a block as CONTINUATION."""
    at = dice.randint(0, len(frame.payload))
    kind = CONTINUATION if frame.kind == HEADERS else frame.kind
    ends = END_HEADERS if frame.kind == HEADERS else END_STREAM
    first = frame._replace(payload=frame.payload[:at], flags=frame.flags & ~ends)
    last = Frame(kind, frame.flags & ends, frame.stream_id, frame.payload[at:])
    return first.octets() + last.octets()


def _in_bytes(frame: Frame, _dice: random.Random) -> bytes:
    """Split into as many as it has bytes."""
    if frame.kind != DATA:
        return frame.octets()
    pieces = [frame.payload[i : i + 1] for i in range(min(len(frame.payload), _FRAMES_MAX))]
    return b"".join(frame._replace(flags=0, payload=piece).octets() for piece in pieces)


def _with_payload(frame: Frame, dice: random.Random) -> bytes:
    payload = bytearray(frame.payload or b"\0\0\0\0")
    payload[dice.randrange(len(payload))] = dice.randrange(256)
    return frame._replace(payload=bytes(payload)).octets()


def _with_more_fields(frame: Frame, dice: random.Random) -> bytes:
    """Many fields behind those of a block, cheap to say and not to read."""
    if frame.kind not in (HEADERS, CONTINUATION):
        return frame.octets()
    name = b"%c" % dice.randrange(97, 123)
    fields = b"".join(
        dice.choice(_FIELDS).replace(b"x", name) for _ in range(dice.choice((1, 2, 5)))
    )
    more = mutate.many(fields, dice)[: dice.choice((100, 1_000, 16_000))]
    return frame._replace(payload=frame.payload + more).octets()


def _lost(_frame: Frame, _dice: random.Random) -> bytes:
    return b""


_CHANGES = (
    _again, _on_new_streams, _flagged, _elsewhere, _of_another_kind, _split, _in_bytes,
    _with_payload, _with_more_fields, _with_more_fields, _lost,
)  # fmt: skip


def change_frames(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    return _changed(data, dice)


FRAMES: Sequence[Mutation] = (change_frames,) * 8
