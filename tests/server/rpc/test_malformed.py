"""Bytes that are no message are refused; a text in them that is not UTF-8 by its field."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from server.routing.errors import PayloadMalformed
from server.rpc.carve import INFER, ROUTE, SMALL_BYTES_MAX
from server.rpc.malformed import parsed
from turnout.v1 import admin_pb2, control_pb2
from turnout.v1 import routing_pb2 as pb

# A text of the message, which is then put in pieces: its length stays what it was.
WHOLE = "wholetext"
LARGE = "x" * SMALL_BYTES_MAX

MESSAGES: list[tuple[str, Message]] = [
    ("text", pb.RouteRequest(text=WHOLE)),
    ("context.traffic_class", pb.RouteRequest(context=pb.RequestContext(traffic_class=WHOLE))),
    ("context.tenant", pb.InferRequest(context=pb.RequestContext(tenant=WHOLE), oip_request=b"x")),
    ("context.labels", pb.RouteRequest(context=pb.RequestContext(labels={"app": WHOLE}))),
    ("context.labels", pb.RouteRequest(context=pb.RequestContext(labels={WHOLE: "shop"}))),
    ("features.domain", pb.RouteRequest(features=pb.Features(domain=WHOLE), text="hi")),
    ("features.capabilities", pb.RouteRequest(features=pb.Features(capabilities=["a", WHOLE]))),
    ("decision_id", pb.Outcome(decision_id=WHOLE)),
    ("attempts.model", pb.Outcome(decision_id="d", attempts=[pb.Attempt(model=WHOLE)])),
    ("budget.name", admin_pb2.UpdateBudgetRequest(budget=admin_pb2.Budget(name=WHOLE))),
    ("worker", control_pb2.PushStatsRequest(worker=WHOLE)),
]
# What no decoder takes, in as many bytes: bytes that begin nothing, a surrogate, a character too
# many, one in more bytes than it needs, one cut short.
PIECES = [b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x82"]


@pytest.mark.parametrize(("path", "message"), MESSAGES)
@given(piece=st.sampled_from(PIECES), at=st.integers(0, len(WHOLE) - 4))
def test_a_text_that_is_not_utf8_is_named(
    path: str, message: Message, piece: bytes, at: int
) -> None:
    whole = WHOLE.encode()
    broken = whole[:at] + piece + whole[at + len(piece) :]
    data = message.SerializeToString().replace(whole, broken)
    with pytest.raises(PayloadMalformed, match="not UTF-8: send text") as raised:
        parsed(data, type(message).FromString)
    assert raised.value.field == path


READERS: list[Callable[[bytes], Any]] = [ROUTE.read, INFER.read]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("filling", ["", LARGE])
def test_it_is_named_of_requests_of_every_size(read: Callable[[bytes], Any], filling: str) -> None:
    context = pb.RequestContext(tenant=WHOLE)
    request = pb.RouteRequest(context=context, oip_request=filling.encode())
    if read == INFER.read:
        sent = pb.InferRequest(context=context, oip_request=filling.encode()).SerializeToString()
    else:
        sent = request.SerializeToString()
    with pytest.raises(PayloadMalformed, match="not UTF-8") as raised:
        read(sent.replace(WHOLE.encode(), b"\xff" * len(WHOLE)))
    assert raised.value.field == "context.tenant"


@given(data=st.binary(max_size=40))
def test_what_is_no_message_is_refused_and_all_else_is_what_protobuf_reads(data: bytes) -> None:
    try:
        expected = pb.RouteRequest.FromString(data)
    except DecodeError:
        with pytest.raises(PayloadMalformed):
            parsed(data, pb.RouteRequest.FromString)
    else:
        assert parsed(data, pb.RouteRequest.FromString) == expected


def test_the_search_for_the_field_ends_where_a_message_has_too_many() -> None:
    many = pb.RouteRequest(features=pb.Features(capabilities=["x"] * 3_000)).SerializeToString()
    with pytest.raises(PayloadMalformed, match="not a message") as raised:
        parsed(many + b"\x12\x01\xff", pb.RouteRequest.FromString)
    assert raised.value.field == ""
