"""Between the wire and what routing speaks of."""

import json
from typing import Any

import pytest

from server.routing.catalog import PayloadKind
from server.routing.errors import InvalidRequest, PayloadMalformed
from server.routing.query import Query, Tensor
from server.rpc.convert import (
    TEXT_BYTES_MAX,
    infer_query,
    oip_query,
    route_query,
    text_metadata,
)
from server.rpc.infer_content import content_of
from server.rpc.shapes import CAPABILITIES_MAX, LABELS_MAX
from server.wire import oip_pb2
from turnout.v1 import routing_pb2 as pb

TENSORS = oip_pb2.ModelInferRequest(model_name="m").SerializeToString()
CHAT = json.dumps(
    {
        "messages": [
            {"role": "system", "content": "You are a lawyer."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "this?"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
    }
).encode()
FITS = "x" * TEXT_BYTES_MAX
METADATA = {"x-team": "blue"}


def asked(request: pb.RouteRequest, metadata: dict[str, str]) -> Query:
    return route_query(request, request.ByteSize(), metadata)


def inferred(request: pb.InferRequest, metadata: dict[str, str]) -> Query:
    return infer_query(request, content_of(request), request.ByteSize(), metadata)


def test_everything_that_rules_look_at_is_in_the_query() -> None:
    request = pb.RouteRequest(
        context=pb.RequestContext(
            traffic_class="chat",
            tenant="acme",
            user="ada",
            labels={"app": "shop"},
            priority=-3,
            response_format="json",
            request_id="r1",
        ),
        features=pb.Features(
            input_tokens=7,
            domain="law",
            capabilities=["tools", "images"],
            payload_kind=pb.PAYLOAD_KIND_TEXT,
        ),
    )
    assert asked(request, METADATA) == Query(
        traffic_class="chat",
        tenant="acme",
        user="ada",
        labels={"app": "shop"},
        metadata=METADATA,
        priority=-3,
        response_format="json",
        domain="law",
        capabilities=("tools", "images"),
        payload_kind=PayloadKind.TEXT,
        input_tokens=7,
    )


def test_what_is_not_said_is_not_said_in_the_query() -> None:
    assert asked(pb.RouteRequest(), {}) == Query()


def test_no_tokens_is_not_the_same_as_tokens_unsaid() -> None:
    request = pb.RouteRequest(features=pb.Features(input_tokens=0))
    assert asked(request, {}).input_tokens == 0


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"text": "hi"}, PayloadKind.TEXT),
        ({"text": ""}, PayloadKind.TEXT),
        ({"openai_chat": CHAT}, PayloadKind.TEXT),
        ({"oip_request": TENSORS}, PayloadKind.TENSORS),
        ({"oip_request": b""}, PayloadKind.TENSORS),
        ({}, PayloadKind.UNKNOWN),
    ],
)
def test_the_kind_of_a_payload_is_that_of_the_content(
    content: dict[str, Any], kind: PayloadKind
) -> None:
    assert asked(pb.RouteRequest(**content), {}).payload_kind is kind


def test_a_chat_is_asked_by_its_last_turns() -> None:
    query = asked(pb.RouteRequest(openai_chat=CHAT), {})
    assert (query.text, query.earlier, query.messages) == ("hi\nthis?", "hello", 4)
    assert query.capabilities == ("images", "tools")
    assert query.response_format == "json_object"
    assert query.overhead_tokens > 765


def test_what_context_and_features_say_is_believed_over_the_chat() -> None:
    request = pb.RouteRequest(
        context=pb.RequestContext(response_format="json"),
        features=pb.Features(input_tokens=7, capabilities=["tools", "audio"]),
        openai_chat=CHAT,
    )
    query = asked(request, {})
    assert (query.response_format, query.input_tokens) == ("json", 7)
    assert query.capabilities == ("tools", "audio", "images")


def test_a_malformed_chat_is_refused_with_the_place() -> None:
    with pytest.raises(PayloadMalformed) as refused:
        asked(pb.RouteRequest(openai_chat=b'{"messages": [{}]}'), {})
    assert refused.value.field == "openai_chat.messages[0].role"


def test_a_text_is_one_message() -> None:
    assert asked(pb.RouteRequest(text="hi"), {}).messages == 1
    assert asked(pb.RouteRequest(oip_request=TENSORS), {}).messages == 0


@pytest.mark.parametrize("way", ["route", "infer", "oip"])
def test_the_tensors_and_the_text_of_an_oip_request_can_be_asked_for(way: str) -> None:
    tensor = oip_pb2.ModelInferRequest.InferInputTensor(
        name="prompt",
        datatype="BYTES",
        shape=[1],
        contents=oip_pb2.InferTensorContents(bytes_contents=[b"hello"]),
    )
    data = oip_pb2.ModelInferRequest(inputs=[tensor]).SerializeToString()
    query = {
        "route": lambda: asked(pb.RouteRequest(oip_request=data), {}),
        "infer": lambda: inferred(pb.InferRequest(oip_request=data), {}),
        "oip": lambda: oip_query(data, {}, {}),
    }[way]()
    assert query.tensors() == (Tensor("prompt", "BYTES", 1),)
    assert query.text == "hello"


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        (pb.PAYLOAD_KIND_TEXT, PayloadKind.TEXT),
        (pb.PAYLOAD_KIND_TENSORS, PayloadKind.TENSORS),
    ],
)
def test_a_stated_kind_holds_where_no_content_is_sent(
    stated: pb.PayloadKind.ValueType, kind: PayloadKind
) -> None:
    features = pb.Features(payload_kind=stated)
    assert asked(pb.RouteRequest(features=features), {}).payload_kind is kind
    request = pb.RouteRequest(features=features, text="hi")
    assert asked(request, {}).payload_kind is PayloadKind.TEXT


def test_an_infer_carries_tensors() -> None:
    query = inferred(pb.InferRequest(oip_request=TENSORS), METADATA)
    assert query == Query(
        payload_kind=PayloadKind.TENSORS, metadata=METADATA, size_bytes=len(TENSORS)
    )


def test_an_empty_message_of_the_protocol_is_a_payload() -> None:
    request = pb.InferRequest(oip_request=b"")
    assert inferred(request, {}).payload_kind is PayloadKind.TENSORS


def test_what_is_as_long_as_allowed_is_taken() -> None:
    context = pb.RequestContext(
        tenant=FITS,
        user="é" * (TEXT_BYTES_MAX // 2),
        response_format=FITS,
        request_id=FITS,
        labels={f"{i}{FITS}"[:TEXT_BYTES_MAX]: FITS for i in range(LABELS_MAX)},
    )
    features = pb.Features(capabilities=[FITS] * CAPABILITIES_MAX)
    query = asked(pb.RouteRequest(context=context, features=features), {})
    assert len(query.labels) == LABELS_MAX
    assert query.capabilities == (FITS,) * CAPABILITIES_MAX


@pytest.mark.parametrize("text", ["é" * (TEXT_BYTES_MAX // 2) + "x", "\U0001f600" * 65])
def test_lengths_are_those_of_bytes(text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{TEXT_BYTES_MAX} bytes"):
        asked(pb.RouteRequest(context=pb.RequestContext(tenant=text)), {})


def test_an_oip_call_says_its_class_by_the_models_name_and_who_it_is_in_metadata() -> None:
    metadata = {"turnout-tenant": "acme", "turnout-user": "ada"}
    request = oip_pb2.ModelInferRequest(model_name="chat").SerializeToString()
    assert oip_query(request, metadata, {"chat"}) == Query(
        traffic_class="chat",
        tenant="acme",
        user="ada",
        metadata=metadata,
        payload_kind=PayloadKind.TENSORS,
        size_bytes=len(request),
    )


def test_binary_metadata_is_not_for_rules() -> None:
    given = (("x-team", "blue"), ("trace-bin", b"\0"))
    assert text_metadata(given) == {"x-team": "blue"}
    assert text_metadata(None) == {}


@pytest.mark.parametrize(
    ("context", "features", "refusal"),
    [
        ({"labels": {f"{i}{FITS}x": "" for i in range(LABELS_MAX + 1)}}, {}, "labels"),
        ({}, {"capabilities": [FITS + "x"] * (CAPABILITIES_MAX + 1)}, "send fewer"),
    ],
    ids=["labels", "capabilities"],
)
def test_too_many_are_refused_before_any_is_read(
    context: dict[str, Any], features: dict[str, Any], refusal: str
) -> None:
    request = pb.RouteRequest(
        context=pb.RequestContext(**context), features=pb.Features(**features)
    )
    with pytest.raises(InvalidRequest, match=f"more than .*{refusal}"):
        asked(request, {})
