"""Methods, found by path."""

from typing import Any

import grpc
import pytest

from server.status_code import Code
from server.transport.grpc.methods import FOUND_MAX, Methods, RpcHandler
from server.transport.grpc.status import CallRefused

HEADERS = ((b":path", b"/a/b"), (b"x", b"1"))


async def servicer(request: object, context: object) -> object:
    return request


class Generic(grpc.GenericRpcHandler):
    """Takes every path of a service, and notes what it was asked."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.asked: list[tuple[str, object]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        self.asked.append((path, handler_call_details.invocation_metadata))
        if path.startswith(f"/{self._service}/"):
            return grpc.unary_unary_rpc_method_handler(servicer)
        return None


def test_a_registered_method_is_found() -> None:
    methods = Methods(1_000)
    handler = grpc.stream_unary_rpc_method_handler(
        servicer, request_deserializer=bytes.decode, response_serializer=str.encode
    )
    methods.register("a", {"b": handler})
    method = methods.find(b"/a/b", HEADERS)
    assert method is not None
    assert (method.path, method.takes_stream, method.gives_stream) == ("/a/b", True, False)
    assert method.serialize is not None
    assert (method.parse(b"x"), method.serialize("x")) == ("x", b"x")
    assert method.servicer is servicer


def test_a_method_without_serializers_takes_and_gives_what_it_is() -> None:
    methods = Methods(1_000)
    methods.register("a", {"b": grpc.unary_unary_rpc_method_handler(servicer)})
    method = methods.find(b"/a/b", HEADERS)
    assert method is not None
    assert (method.parse(b"x"), method.parse(memoryview(b"x"))) == (b"x", b"x")
    assert method.serialize is None


def test_a_path_that_nobody_takes_is_not_found() -> None:
    methods = Methods(1_000)
    methods.add_generic([Generic("z")])
    assert methods.find(b"/a/b", HEADERS) is None
    assert methods.find(b"", HEADERS) is None


def test_generic_handlers_are_asked_in_turn_and_once_for_a_path_that_they_take() -> None:
    methods, other, taking = Methods(1_000), Generic("z"), Generic("a")
    methods.add_generic([other, taking])
    found = methods.find(b"/a/b", HEADERS)
    assert found is not None
    assert methods.find(b"/a/b", HEADERS) is found
    assert other.asked == taking.asked == [("/a/b", (("x", "1"),))]


def test_paths_that_were_found_are_kept_up_to_a_limit() -> None:
    methods, taking = Methods(1_000), Generic("a")
    methods.add_generic([taking])
    for number in range(FOUND_MAX + 1):
        methods.find(b"/a/%d" % number, HEADERS)
    methods.find(b"/a/%d" % FOUND_MAX, HEADERS)
    assert len(taking.asked) == FOUND_MAX + 1
    methods.find(b"/a/0", HEADERS)
    assert len(taking.asked) == FOUND_MAX + 2


def test_bytes_that_a_parser_does_not_take_are_refused() -> None:
    methods = Methods(1_000)
    handler: RpcHandler = grpc.unary_unary_rpc_method_handler(
        servicer, request_deserializer=bytes.decode
    )
    methods.register("a", {"b": handler})
    method = methods.find(b"/a/b", HEADERS)
    assert method is not None
    with pytest.raises(CallRefused, match="not a message of this method") as refused:
        method.parse(b"\xff")
    assert refused.value.code is Code.INTERNAL
