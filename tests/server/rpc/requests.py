"""Requests that tests of the data plane send."""

import json
from typing import Any

from hypothesis import strategies as st

from server.rpc.convert import TEXT_BYTES_MAX
from server.rpc.errors import STATUS
from server.wire import oip_pb2
from tests.server.rpc.service import (
    Refusal,
)
from turnout.v1 import routing_pb2 as pb

TENSORS = oip_pb2.ModelInferRequest(
    model_name="what the caller calls it", id="r1", raw_input_contents=[b"\0\1\2\3"]
).SerializeToString()
LONG = "x" * (TEXT_BYTES_MAX + 1)


def route_request(**context: Any) -> pb.RouteRequest:
    return pb.RouteRequest(
        context=pb.RequestContext(**context),
        features=pb.Features(payload_kind=pb.PAYLOAD_KIND_TENSORS),
    )


def infer_request(**context: Any) -> pb.InferRequest:
    return pb.InferRequest(context=pb.RequestContext(**context), oip_request=TENSORS)


def chat_request(content: Any, **fields: Any) -> pb.RouteRequest:
    body = {"messages": [{"role": "user", "content": content}], **fields}
    return pb.RouteRequest(openai_chat=json.dumps(body).encode())


def check(found: Refusal, reason: str, fields: list[str]) -> None:
    assert (found.reason, found.fields, found.domain) == (reason, fields, "turnout")
    codes = {error.reason: code for error, code in STATUS.items()}
    assert found.code is codes[reason]
    assert found.message


texts = st.text(st.characters(codec="utf-8"), max_size=300)
names = st.sampled_from(["", "chat", "meta", "law", "other", "nope", "tools"])
uint32s = st.integers(0, 2**32 - 1)
messages = st.builds(
    oip_pb2.ModelInferRequest, model_name=texts, id=texts, raw_input_contents=st.lists(st.binary())
).map(oip_pb2.ModelInferRequest.SerializeToString)
payloads = messages | st.binary(max_size=100)
contexts = st.builds(
    pb.RequestContext,
    traffic_class=names | texts,
    tenant=texts,
    user=texts,
    labels=st.dictionaries(texts, texts, max_size=3),
    priority=st.integers(-(2**31), 2**31 - 1),
    response_format=texts,
    request_id=texts,
)
features = st.builds(
    pb.Features,
    input_tokens=st.none() | uint32s,
    domain=names | texts,
    capabilities=st.lists(names | texts, max_size=20),
    payload_kind=st.integers(0, 3),
)
route_requests = st.one_of(
    st.builds(pb.RouteRequest, context=contexts, features=features, dry_run=st.booleans()),
    st.builds(pb.RouteRequest, context=contexts, features=features, text=texts),
    st.builds(pb.RouteRequest, context=contexts, features=features, oip_request=payloads),
)
