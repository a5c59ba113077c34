"""Between the wire and what routing speaks of; limits on what a peer may say are held here."""

from collections.abc import Container, Iterable, Mapping
from functools import partial

from google.protobuf.duration_pb2 import Duration

from server.dispatch import Answer
from server.routing.catalog import Cell, PayloadKind
from server.routing.errors import InvalidRequest, PayloadTooLarge, UnknownClass
from server.routing.query import Query
from server.routing.router import Decision, Router, Target
from server.rpc.oip_tensors import read_tensors, read_text
from server.rpc.oip_wire import read_head
from server.rpc.openai_chat import read_chat
from turnout.v1 import routing_pb2 as pb

# Larger than any tensor request in common use; grpc itself cuts off a little above.
MESSAGE_BYTES_MAX = 64 * 2**20
# What rules look at is short: names, ids, labels.
TEXT_BYTES_MAX = 256
LABELS_MAX = 64
CAPABILITIES_MAX = 16
# What an OIP caller, whose messages have no place for it, says in metadata.
TENANT_KEY, USER_KEY = "turnout-tenant", "turnout-user"
# The model_name of an OIP request that leaves the class to the rules.
AUTO = "auto"

Metadata = Iterable[tuple[str, str | bytes]]


def route_query(request: pb.RouteRequest, metadata: Mapping[str, str]) -> Query:
    """What a RouteRequest asks; raises InvalidRequest, PayloadMalformed or PayloadTooLarge."""
    hold_size(request.ByteSize())
    query = _query(request.context, request.features, metadata)
    content = request.WhichOneof("content")
    if content == "text":
        query.text = request.text
        query.messages = 1
        query.payload_kind = PayloadKind.TEXT
    elif content == "openai_chat":
        _read_chat(request.openai_chat, query)
    elif content == "oip_request":
        read_head(request.oip_request, field="oip_request")
        _read_tensors(request.oip_request, "oip_request", query)
    return query


def infer_query(request: pb.InferRequest, metadata: Mapping[str, str]) -> Query:
    """What an InferRequest asks; raises InvalidRequest, PayloadMalformed or PayloadTooLarge."""
    if request.WhichOneof("payload") is None:
        raise InvalidRequest("there is nothing to infer: set it", field="oip_request")
    hold_size(len(request.oip_request))
    query = _query(request.context, request.features, metadata)
    read_head(request.oip_request, field="oip_request")
    _read_tensors(request.oip_request, "oip_request", query)
    return query


def oip_query(request: bytes, metadata: Mapping[str, str], classes: Container[str]) -> Query:
    """What a call of the Open Inference Protocol asks: its model_name is a class, or "auto".

    Raises InvalidRequest, UnknownClass, PayloadMalformed or PayloadTooLarge.
    """
    hold_size(len(request))
    head = read_head(request, field="")
    name = short(head.model_name, "model_name")
    if name not in ("", AUTO) and name not in classes:
        raise UnknownClass(
            f"there is no class {name!r}: name one of the configuration, or {AUTO!r}",
            field="model_name",
        )
    if head.model_version:
        raise InvalidRequest(
            "a class has no versions: leave model_version out", field="model_version"
        )
    query = Query(
        traffic_class="" if name == AUTO else name,
        tenant=short(metadata.get(TENANT_KEY, ""), TENANT_KEY),
        user=short(metadata.get(USER_KEY, ""), USER_KEY),
        metadata=metadata,
    )
    _read_tensors(request, "", query)
    return query


def text_metadata(metadata: Metadata | None) -> dict[str, str]:
    """The text entries of a call's metadata, for rules to match."""
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def short(text: str, field: str) -> str:
    """The text, if it is no longer than what rules look at; raises InvalidRequest."""
    if len(text) > TEXT_BYTES_MAX or len(text.encode()) > TEXT_BYTES_MAX:
        raise InvalidRequest(f"longer than {TEXT_BYTES_MAX} bytes: shorten it", field=field)
    return text


def hold_size(size_bytes: int) -> None:
    """Raises PayloadTooLarge."""
    if size_bytes > MESSAGE_BYTES_MAX:
        raise PayloadTooLarge(
            f"{size_bytes} bytes: at most {MESSAGE_BYTES_MAX}, or send features instead"
        )


def route_response(
    decision: Decision, decision_id: str, router: Router, request_id: str
) -> pb.RouteResponse:
    """The answer to a Route; an empty id is that of a dry run."""
    response = pb.RouteResponse(
        decision_id=decision_id,
        plan_id=decision.plan_id,
        expected_cost_nano_usd=decision.pick.cost_nano_usd,
        report_wanted=decision.audit_probability > 0,
        request_id=request_id,
    )
    _fill_route(response, decision, router)
    return response


def batch_route(decision: Decision, router: Router) -> pb.BatchRoute:
    """What a decision of a batch shares with others."""
    route = pb.BatchRoute(
        plan_id=decision.plan_id, expected_cost_nano_usd=decision.pick.cost_nano_usd
    )
    _fill_route(route, decision, router)
    return route


def infer_response(answer: Answer, request_id: str) -> pb.InferResponse:
    """The answer to an Infer."""
    decision = answer.decision
    response = pb.InferResponse(
        oip_response=answer.response,
        decision_id=answer.decision_id,
        plan_id=decision.plan_id,
        cost_nano_usd=answer.cost_nano_usd,
        attempts=answer.attempts,
        report_wanted=decision.audit_probability > 0,
        request_id=request_id,
    )
    _set_cell(response.cell, decision.reading.cell)
    _set_target(response.target, answer.target)
    _set_reason(response.reason, decision)
    response.usage.input_tokens = decision.reading.input_tokens
    _set_duration(response.usage.latency, answer.latency_s)
    return response


def _query(context: pb.RequestContext, features: pb.Features, metadata: Mapping[str, str]) -> Query:
    short(context.request_id, "context.request_id")
    return Query(
        traffic_class=short(context.traffic_class, "context.traffic_class"),
        tenant=short(context.tenant, "context.tenant"),
        user=short(context.user, "context.user"),
        labels=_labels(context.labels) if context.labels else {},
        metadata=metadata,
        priority=context.priority,
        response_format=short(context.response_format, "context.response_format"),
        domain=short(features.domain, "features.domain"),
        capabilities=_capabilities(features) if features.capabilities else (),
        payload_kind=_payload_kind(features.payload_kind),
        input_tokens=features.input_tokens if features.HasField("input_tokens") else None,
    )


def _read_chat(body: bytes, query: Query) -> None:
    """What the body says counts where the context and the features say nothing else."""
    chat = read_chat(body, field="openai_chat")
    query.payload_kind = PayloadKind.TEXT
    query.text, query.earlier = chat.asked, chat.earlier
    query.messages = chat.messages
    query.overhead_tokens = chat.overhead_tokens
    query.response_format = query.response_format or chat.response_format
    query.capabilities = tuple(dict.fromkeys(query.capabilities + chat.capabilities))


def _read_tensors(request: bytes, field: str, query: Query) -> None:
    query.payload_kind = PayloadKind.TENSORS
    query.text, query.overhead_tokens = read_text(request)
    query.tensors = partial(read_tensors, request, field=field)


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    if len(labels) > LABELS_MAX:
        raise InvalidRequest(f"more than {LABELS_MAX} labels: send fewer", field="context.labels")
    for key, value in labels.items():
        short(key, "context.labels")
        short(value, "context.labels")
    return dict(labels)


def _capabilities(features: pb.Features) -> tuple[str, ...]:
    field = "features.capabilities"
    if len(features.capabilities) > CAPABILITIES_MAX:
        raise InvalidRequest(f"more than {CAPABILITIES_MAX}: send fewer", field=field)
    return tuple(short(name, field) for name in features.capabilities)


def _payload_kind(kind: int) -> PayloadKind:
    try:
        return PayloadKind(kind)
    except ValueError:
        raise InvalidRequest(
            f"there is no payload kind {kind}", field="features.payload_kind"
        ) from None


def _fill_route(
    message: pb.RouteResponse | pb.BatchRoute, decision: Decision, router: Router
) -> None:
    # Filled in place: messages that are made apart are copied, which takes twice as long.
    _set_cell(message.cell, decision.reading.cell)
    _set_target(message.target, decision.target)
    for index in decision.fallbacks:
        _set_target(message.fallbacks.add(), router.target(index))
    _set_reason(message.reason, decision)
    _set_duration(message.reuse_for, decision.reuse_for_s)


def _set_cell(message: pb.Cell, cell: Cell) -> None:
    message.traffic_class, message.payer, message.domain, message.size_bucket = cell


def _set_target(message: pb.Target, target: Target) -> None:
    message.model = target.model.name
    message.version = target.model.version
    message.endpoint = target.endpoint


def _set_reason(message: pb.Reason, decision: Decision) -> None:
    message.rule = decision.reading.rule
    message.basis = pb.Basis.ValueType(decision.pick.basis)
    message.text = decision.reason


def _set_duration(message: Duration, seconds: float) -> None:
    message.seconds = whole = int(seconds)
    message.nanos = int((seconds - whole) * 1e9)
