"""Where the two transports answer differently, and why ours does as it does.

Apart from these, and from grpcio's own channel arguments, a caller cannot tell them apart. What
only servicers can tell: until its first wait a unary servicer of ours runs without a task of its
own, and a context offers what health, reflection and our servicers use: no peer identities, no
`code()` or `details()` to read back.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import grpc
import pytest

from server.status_code import Code
from server.transport.grpc.messages import framed
from tests.contract.service import SERVICE, TestService, order
from tests.contract.serving import serving
from tests.server.transport.serving.raw_caller import Answer, calling

ONE = framed(order(1))


class Difference(NamedTuple):
    """A request, and what comes of it: a status, or the code of HTTP or of a reset."""

    why: str
    ours: object
    grpcios: object
    data: bytes = ONE
    head: Mapping[str, str] = MappingProxyType({})


DIFFERENCES = {
    "two messages": Difference(
        "gRPC's table of statuses has UNIMPLEMENTED for it; grpcio drops the second",
        Code.UNIMPLEMENTED,
        Code.OK,
        data=ONE + ONE,
    ),
    "no message": Difference(
        "as for two; grpcio waits for one until the deadline",
        Code.UNIMPLEMENTED,
        Code.DEADLINE_EXCEEDED,
        data=b"",
        head={"grpc_timeout": "50m"},
    ),
    "a content-type that is not gRPC's": Difference(
        "the protocol asks for 415; grpcio answers",
        415,
        Code.OK,
        head={"content_type": "text/plain"},
    ),
    "another HTTP method": Difference(
        "405 says more than a reset", 405, ("reset", 2), head={"http_method": "GET"}
    ),
    "no te": Difference(
        "it shows proxies that drop trailers: no reason to refuse a call that came through",
        Code.OK,
        ("reset", 2),
        head={"te": ""},
    ),
    "deflate": Difference(
        "every client that compresses knows gzip, and one code less faces the network",
        Code.UNIMPLEMENTED,
        Code.OK,
        head={"grpc_encoding": "deflate"},
    ),
    "an unknown encoding": Difference(
        "the protocol asks for UNIMPLEMENTED",
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
        head={"grpc_encoding": "snappy"},
    ),
}


def outcome(answer: Answer) -> object:
    if answer.head.get(b":status", b"200") != b"200":
        return int(answer.head[b":status"])
    if not answer.head:
        return ("reset", answer.reset)
    return answer.status


async def answered(
    transport: str, method: str, data: bytes = ONE, head: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    service = TestService()

    def add(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((service.handlers(),))

    async with serving(transport, add) as address, calling(address) as caller:
        return await caller.answer(caller.request(f"/{SERVICE}/{method}", data, **head))


@pytest.mark.parametrize("difference", DIFFERENCES.values(), ids=DIFFERENCES.keys())
async def test_transports_differ_where_we_say_so(transport: str, difference: Difference) -> None:
    answer = await answered(transport, "Unary", difference.data, difference.head)
    assert outcome(answer) == (difference.ours if transport == "turnout" else difference.grpcios)


async def test_ours_does_not_tell_callers_what_a_servicer_raised(transport: str) -> None:
    answer = await answered(transport, "Fail")
    assert ("secret" in answer.message) == (transport == "grpcio")
