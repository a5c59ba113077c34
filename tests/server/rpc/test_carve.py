"""Requests are walked before they are parsed, and their content stays where it lies."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.errors import InvalidRequest, PayloadMalformed, RoutingError
from server.rpc.carve import INFER, REST_BYTES_MAX, ROUTE, SMALL_BYTES_MAX
from server.rpc.shapes import CAPABILITIES_MAX, LABELS_MAX, STEPS_MAX
from tests.server.rpc.requests import route_requests
from turnout.v1 import routing_pb2 as pb

LARGE = "x" * (SMALL_BYTES_MAX + 1)
# Fields that no version of ours has yet, so that a request is no small one.
FILLING = b"\xfa\x7f\x81\x20" + bytes(SMALL_BYTES_MAX + 1)


def refused(data: bytes) -> RoutingError:
    with pytest.raises(RoutingError) as found:
        ROUTE.read(data)
    return found.value


@pytest.mark.parametrize(
    "content", [{"text": LARGE}, {"oip_request": LARGE.encode()}, {"openai_chat": LARGE.encode()}]
)
def test_the_content_of_a_large_route_is_cut_out_uncopied(content: dict[str, Any]) -> None:
    whole = pb.RouteRequest(context=pb.RequestContext(tenant="acme"), dry_run=True, **content)
    data = whole.SerializeToString()
    request, found = ROUTE.read(data)
    assert request == pb.RouteRequest(context=pb.RequestContext(tenant="acme"), dry_run=True)
    assert found is not None
    assert {found.field} == content.keys()
    assert isinstance(found.data, memoryview)
    assert found.data.obj is data
    assert found.data == LARGE.encode()


def test_the_payload_of_a_large_infer_is_cut_out_of_a_memoryview_uncopied() -> None:
    data = pb.InferRequest(oip_request=LARGE.encode()).SerializeToString()
    request, found = INFER.read(memoryview(data))
    assert request == pb.InferRequest()
    assert found is not None
    assert isinstance(found.data, memoryview)
    assert found.data.obj is data


def test_a_small_request_is_parsed_whole() -> None:
    whole = pb.RouteRequest(text="hello")
    assert ROUTE.read(whole.SerializeToString()) == (whole, None)


@given(route_requests)
def test_a_large_request_is_read_as_protobuf_reads_it(whole: pb.RouteRequest) -> None:
    data = FILLING + whole.SerializeToString()
    if len(whole.features.capabilities) > CAPABILITIES_MAX:
        assert refused(data).field == "features.capabilities"
        return
    request, content = ROUTE.read(data)
    request.DiscardUnknownFields()
    if content is not None:
        value = bytes(content.data)
        setattr(request, content.field, value.decode() if content.field == "text" else value)
    assert request == whole


@given(st.binary(max_size=60))
def test_what_protobuf_refuses_is_refused(data: bytes) -> None:
    with suppress(RoutingError):
        request, content = ROUTE.read(FILLING + data)
        if content is None:
            whole = pb.RouteRequest.FromString(FILLING + data)
            assert request == whole


@given(st.lists(st.binary(max_size=8).map(lambda part: b"\x0a" + bytes([len(part)]) + part)))
def test_a_context_in_many_parts_is_walked_as_protobuf_merges_it(parts: list[bytes]) -> None:
    data = FILLING + b"".join(parts)
    with suppress(RoutingError):
        request, _ = ROUTE.read(data)
        assert request == pb.RouteRequest.FromString(data)


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        pytest.param(
            b"\x0a\xc4\x01" + b"\x22\x00" * 98 + FILLING,
            "context.labels",
            f"more than {LABELS_MAX} labels",
            id="labels",
        ),
        pytest.param(
            (b"\x0a\x02\x22\x00") * (LABELS_MAX + 1) + FILLING,
            "context.labels",
            f"more than {LABELS_MAX} labels",
            id="labels-in-many-contexts",
        ),
        pytest.param(
            (b"\x7a\x02\x22\x00") * (CAPABILITIES_MAX + 1) + FILLING,
            "features.capabilities",
            f"more than {CAPABILITIES_MAX}: send fewer",
            id="capabilities",
        ),
        pytest.param(b"\x0a\x00" * (STEPS_MAX + 1) + FILLING, "", "too many fields", id="contexts"),
        pytest.param(b"\xf8\x7f\x00" * (STEPS_MAX + 1), "", "too many fields", id="unknown"),
        pytest.param(
            b"\x12\x81\x20" + bytes(SMALL_BYTES_MAX + 1) + b"\x12\x00", "", "twice", id="two-texts"
        ),
        pytest.param(b"\x1a\x00\x12\x00" + FILLING, "", "twice", id="two-contents"),
        pytest.param(FILLING + b"\xff", "", "not a message", id="malformed"),
        pytest.param(FILLING + b"\x0b\x0c", "", "not a message", id="group"),
        pytest.param(FILLING + b"\x0a\x02\x22\x05", "", "not a message", id="beyond-its-end"),
    ],
)
def test_what_is_too_much_or_no_message_is_refused_before_it_is_parsed(
    data: bytes, field: str, words: str
) -> None:
    error = refused(data)
    assert isinstance(error, InvalidRequest if field else PayloadMalformed)
    assert (error.field, words in str(error)) == (field, True)


def test_beside_the_content_there_is_room_for_all_that_may_be_said_and_no_more() -> None:
    unknown = REST_BYTES_MAX - 5
    size = bytes([unknown & 127 | 128, unknown >> 7 & 127 | 128, unknown >> 14])
    fits = b"\xfa\x7f" + size + bytes(unknown)
    content = pb.RouteRequest(text=LARGE).SerializeToString()
    assert len(fits) == REST_BYTES_MAX
    assert ROUTE.read(fits + content)[1] is not None
    error = refused(fits + content + b"\x80\x01\x00")
    assert (error.field, error.reason) == ("context", "REQUEST_INVALID")
