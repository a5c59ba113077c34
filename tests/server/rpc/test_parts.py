"""A request that is a list is cut into its parts, in stretches."""

import pytest

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.rpc.parts import COPIED_BYTES_MAX, FIELDS_AT_ONCE, cut
from server.rpc.shapes import OUTCOMES_MAX, REQUESTS_MAX, STEPS_MAX
from server.rpc.wire import Bytes
from turnout.v1 import routing_pb2 as pb

REQUESTS = "turnout.v1.RouteBatchRequest.requests"
OUTCOMES = "turnout.v1.ReportRequest.outcomes"


class Turns:
    """Counts how often others went first."""

    def __init__(self) -> None:
        self.given = 0

    async def __call__(self) -> None:
        self.given += 1


async def parts_of(data: Bytes, field: str = REQUESTS) -> list[Bytes]:
    return list(await cut(data, field, Turns()))


async def test_each_part_is_the_bytes_of_one_message() -> None:
    requests = [pb.RouteRequest(text=f"{n}") for n in range(3)]
    data = pb.RouteBatchRequest(requests=requests).SerializeToString()
    # What a later version adds is passed over.
    found = await parts_of(b"\x10\x01" + data + b"\x1a\x01x")
    assert [pb.RouteRequest.FromString(bytes(part)) for part in found] == requests


async def test_of_a_large_message_small_parts_are_copied_and_large_ones_are_not() -> None:
    large = pb.RouteRequest(text="x" * COPIED_BYTES_MAX)
    batch = pb.RouteBatchRequest(requests=[pb.RouteRequest(text="x"), large])
    small, left = await parts_of(memoryview(batch.SerializeToString()))
    assert isinstance(small, bytes)
    assert isinstance(left, memoryview)
    assert left == large.SerializeToString()


@pytest.mark.parametrize(("field", "most"), [(REQUESTS, REQUESTS_MAX), (OUTCOMES, OUTCOMES_MAX)])
async def test_as_many_parts_as_may_be_and_no_more(field: str, most: int) -> None:
    long = b"\x0a\x80\x01" + bytes(128)
    assert len(await parts_of(long * most, field)) == most
    with pytest.raises(InvalidRequest, match=f"more than {most:,}") as refused:
        await parts_of(b"\x0a\x00" * (most + 1), field)
    assert refused.value.field == field.rpartition(".")[2]


@pytest.mark.parametrize("data", [b"\x0a\x01", b"\x0b\x0c", b"\xff", b"\x00\x00"])
async def test_what_is_no_list_is_malformed(data: bytes) -> None:
    with pytest.raises(PayloadMalformed):
        await parts_of(b"\x0a\x00" + data)


async def test_others_go_first_between_stretches_and_the_walk_stops_at_its_limit() -> None:
    turns = Turns()
    await cut(b"\x0a\x00" * (3 * FIELDS_AT_ONCE), REQUESTS, turns)
    assert turns.given == 3
    turns = Turns()
    with pytest.raises(InvalidRequest):
        await cut(b"\x0a\x00" * 2**20, REQUESTS, turns)
    assert turns.given == REQUESTS_MAX // FIELDS_AT_ONCE
    turns = Turns()
    with pytest.raises(PayloadMalformed, match="too many fields"):
        await cut(b"\x10\x00" * 2**20, REQUESTS, turns)
    assert turns.given == (STEPS_MAX + 2 * REQUESTS_MAX) // FIELDS_AT_ONCE
