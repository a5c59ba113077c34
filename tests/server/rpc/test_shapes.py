"""Every request of a worker says how often it may repeat what it can repeat."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from server.rpc.method_limits import MESSAGE_BYTES_MAX
from server.rpc.shapes import REPEATED, shape_of
from server.wire import oip_pb2
from turnout.v1 import routing_pb2

# Its bytes go on to an endpoint: it is never parsed, and read by steps (oip_wire.py).
NEVER_PARSED = {"inference.ModelInferRequest"}
FILES = (routing_pb2, oip_pb2, health_pb2, reflection_pb2)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# Reflection of v1 has the messages of v1alpha.
METHODS |= {
    path.replace("v1alpha", "v1"): method
    for path, method in METHODS.items()
    if path.startswith("/grpc.reflection.")
}
PARSED = [path for path, m in METHODS.items() if m.input_type.full_name not in NEVER_PARSED]


def within(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for field in message.fields:
        if field.message_type is not None:
            yield from within(field.message_type)


def repeated() -> set[str]:
    return {
        field.full_name
        for path in PARSED
        for message in within(METHODS[path].input_type)
        for field in message.fields
        if field.is_repeated
    }


@pytest.mark.parametrize("path", PARSED)
def test_every_repeated_field_of_a_request_has_a_limit(path: str) -> None:
    shape_of(METHODS[path].input_type)


def test_no_limit_is_of_a_field_that_no_request_has() -> None:
    assert REPEATED.keys() == repeated()


def test_a_repeated_field_without_a_limit_has_no_shape() -> None:
    with pytest.raises(KeyError, match="fallbacks"):
        shape_of(routing_pb2.RouteResponse.DESCRIPTOR)


def test_every_method_that_a_worker_serves_has_a_size_limit() -> None:
    assert MESSAGE_BYTES_MAX.keys() == METHODS.keys()


def test_the_design_page_says_how_large_requests_may_be() -> None:
    page = (Path(__file__).parents[3] / "docs" / "design.md").read_text()
    rows = re.findall(r"^  \| (.+?)(?: \(.*)? \| (\d+) (MiB|KiB)", page, re.MULTILINE)
    named = {
        name: int(count) * {"MiB": 2**20, "KiB": 2**10}[unit]
        for names, count, unit in rows
        for name in re.findall(r"\w+", names)
    }
    said = {path: named.get(path.rpartition("/")[2], named["others"]) for path in METHODS}
    assert said == MESSAGE_BYTES_MAX
