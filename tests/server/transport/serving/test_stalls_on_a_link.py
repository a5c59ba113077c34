"""Slow links whose readers are honest, simulated: deep buffers, many streams, any windows."""

from dataclasses import dataclass, field

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.events import DataReceived
from server.transport.http2.limits import Limits
from server.transport.serving.stalls import Outflow, Stalls
from tests.server.transport.serving.raw_caller import head

KIB = 1024
ANSWERS, ANSWER_BYTES = 30, 300 * KIB
KERNEL_BYTES, HIGH_BYTES, LOW_BYTES = 2_500_000, 256 * KIB, 64 * KIB
STALL_S, LOOK_S = 30.0, 10
NEVER = 10_000


@dataclass
class Link:
    """A server that answers, a pipe of so many bytes a second, a client that takes all but one."""

    bytes_per_s: int
    limits: Limits
    unread: frozenset[int] = frozenset()
    pipe: bytearray = field(default_factory=bytearray)
    written_bytes: int = 0
    is_congested: bool = False

    def __post_init__(self) -> None:
        self.client = Connection(client=True, limits=self.limits)
        self.server = Connection(client=False)
        self.stalls = Stalls(STALL_S, now_s=0.0)
        self.left = {self.client.open_stream(head("Large")) for _ in range(ANSWERS)}
        self.server.receive(self.client.take_output(), 0.0)
        for stream_id in self.left:
            self.server.send_headers(stream_id, [(b":status", b"200")])
            self.server.send_data(stream_id, bytes(ANSWER_BYTES), end_stream=True)

    def pass_second(self, now_s: int) -> None:
        self._write()
        came = bytes(self.pipe[: self.bytes_per_s])
        del self.pipe[: self.bytes_per_s]
        for event in self.client.receive(came, float(now_s)):
            if isinstance(event, DataReceived):
                if event.stream_id not in self.unread:
                    self.client.give_back(event.stream_id, event.flow_bytes)
                if event.end_stream:
                    self.left.discard(event.stream_id)
        if not self.is_congested:
            self.server.receive(self.client.take_output(), float(now_s))
        self._write()

    def _write(self) -> None:
        output = self.server.take_output()
        self.written_bytes += len(output)
        self.pipe += output
        buffered = len(self.pipe) - KERNEL_BYTES
        self.is_congested = buffered > (LOW_BYTES if self.is_congested else HIGH_BYTES)

    def flow(self) -> Outflow:
        streams, own = self.server.held_back()
        return Outflow(
            waits=self.is_congested or self.server.waits_for_connection,
            written_bytes=self.written_bytes,
            arrived_bytes=self.written_bytes - len(self.pipe),
            data_bytes=self.server.data_bytes,
            streams=streams,
            own=own,
        )

    def play(self) -> tuple[set[int], bool]:
        """The streams that were ended, and whether the connection was."""
        ended: set[int] = set()
        for now_s in range(1, NEVER):
            self.pass_second(now_s)
            if now_s % LOOK_S == 0:
                stalled = self.stalls.look(self.flow(), now_s=float(now_s))
                ended |= set(stalled.streams)
                for stream_id in stalled.streams:
                    self.server.reset(stream_id)
                    self.left.discard(stream_id)
                if stalled.connection:
                    return ended, True
            if not self.left:
                break
        return ended, False


WINDOWS = [(64, 64), (64, 4_096), (1_024, 64), (1_024, 4_096), (256, 1_024)]


def limits(stream_kib: int, connection_kib: int) -> Limits:
    return Limits(
        stream_window_bytes=stream_kib * KIB, connection_window_bytes=connection_kib * KIB
    )


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("kib_per_s", [4, 16, 1_000])
def test_whoever_reads_what_comes_is_left_alone_however_slow_the_link(
    kib_per_s: int, windows: tuple[int, int]
) -> None:
    link = Link(kib_per_s * KIB, limits(*windows))
    assert link.play() == (set(), False)
    assert not link.left


@pytest.mark.parametrize("windows", [(64, 4_096), (64, 1_024), (256, 1_024)])
@pytest.mark.parametrize("kib_per_s", [4, 16, 1_000])
def test_of_many_streams_only_that_which_nobody_reads_is_ended(
    kib_per_s: int, windows: tuple[int, int]
) -> None:
    link = Link(kib_per_s * KIB, limits(*windows), unread=frozenset({5}))
    assert link.play() == ({5}, False)
    assert not link.left


def test_a_reader_who_reads_nothing_of_any_stream_loses_all_of_them() -> None:
    streams = range(1, 2 * ANSWERS, 2)
    link = Link(1_000 * KIB, limits(64, 4_096), unread=frozenset(streams))
    assert link.play() == (set(streams), False)


def test_a_link_that_passes_next_to_nothing_is_given_up() -> None:
    assert Link(1 * KIB, limits(64, 64)).play()[1]
