"""What an input had at once, whoever allocated it."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.fuzz.memory import PeakMemory
from turnout.v1 import routing_pb2 as pb

MIB = 2**20

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the mark is Linux's"
)


@pytest.fixture
def memory() -> Iterator[PeakMemory]:
    made = PeakMemory()
    yield made
    made.close()


def python() -> object:
    return [bytearray(b"x") * 1_000 for _ in range(20_000)]


def protobuf() -> object:
    return pb.ReportRequest.FromString(b"\x0a\x00" * 2**18)


def inflated() -> object:
    return zlib.decompress(zlib.compress(b"x" * 20 * MIB))


@pytest.mark.parametrize("allocate", [python, protobuf, inflated])
def test_what_is_gone_again_is_seen(memory: PeakMemory, allocate: Callable[[], object]) -> None:
    memory.begin()
    allocate()
    assert memory.peak_bytes() > 16 * MIB


def test_each_input_begins_anew(memory: PeakMemory) -> None:
    memory.begin()
    inflated()
    memory.begin()
    assert memory.peak_bytes() < MIB
