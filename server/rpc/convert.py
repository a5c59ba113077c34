"""What requests on the wire ask routing; limits on what a peer may say are held here."""

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import partial

from server.routing.catalog import PayloadKind
from server.routing.errors import (
    InvalidRequest,
    PayloadMalformed,
    PayloadTooLarge,
    UnknownClass,
)
from server.routing.query import Query
from server.rpc.carve import Content
from server.rpc.class_name import AUTO, Named, class_named
from server.rpc.long_text import decode_text
from server.rpc.method_limits import PAYLOAD_BYTES_MAX
from server.rpc.oip_tensors import read_tensors, read_text
from server.rpc.oip_wire import NAME_BYTES_MAX, OipRequest, read_request
from server.rpc.openai_chat import BYTES_MAX, INLINE_BYTES_MAX, Chat, read_chat
from server.rpc.shapes import CAPABILITIES_MAX, LABELS_MAX, REPEATED
from server.rpc.wire import Bytes
from turnout.v1 import routing_pb2 as pb

# What rules look at is short: names, ids, labels.
TEXT_BYTES_MAX = NAME_BYTES_MAX
_LABELS = REPEATED["turnout.v1.RequestContext.labels"]
_CAPABILITIES = REPEATED["turnout.v1.Features.capabilities"]
_PAYLOAD_KINDS: Mapping[int, PayloadKind] = {
    pb.PAYLOAD_KIND_UNSPECIFIED: PayloadKind.UNKNOWN,
    pb.PAYLOAD_KIND_TEXT: PayloadKind.TEXT,
    pb.PAYLOAD_KIND_TENSORS: PayloadKind.TENSORS,
}
# Where requests say whose they are.
TENANT_AT = "context.tenant"
# What an OIP caller, whose messages have no place for it, says in metadata.
TENANT_KEY, USER_KEY = "turnout-tenant", "turnout-user"

Metadata = Iterable[tuple[str, str | bytes]]


def route_query(
    request: pb.RouteRequest,
    size_bytes: int,
    metadata: Mapping[str, str],
    content: Content | None = None,
    chat: Chat | None = None,
) -> Query:
    """What a RouteRequest asks, whose content may be cut out of it.

    `chat` is what was read of a large one already. Raises InvalidRequest, PayloadMalformed or
    PayloadTooLarge.
    """
    query = _query(request.context, request.features, size_bytes, metadata)
    if chat is not None and content is not None:
        _take_chat(chat, len(content.data), query)
    elif content is not None:
        _read_content(content.field, content.data, query)
    elif (field := request.WhichOneof("content")) == "text":
        _take_text(request.text, query)
    elif field is not None:
        _read_content(field, getattr(request, field), query)
    return query


def take_model_name(model: str, query: Query, classes: Container[str]) -> None:
    """The model that a chat names is its class; raises UnknownClass or ClassAmbiguous."""
    query.traffic_class = class_named(
        Named(model, "openai_chat.model"),
        Named(query.traffic_class, "context.traffic_class"),
        classes,
    )


def large_chat(content: Content) -> bytes | None:
    """The body of a chat that is to be read beside the loop; None of any other content."""
    is_large = content.field == "openai_chat" and INLINE_BYTES_MAX < len(content.data) <= BYTES_MAX
    return bytes(content.data) if is_large else None


def infer_query(
    request: pb.InferRequest | pb.InferStreamRequest,
    content: Content,
    size_bytes: int,
    metadata: Mapping[str, str],
    chat: Chat | None = None,
) -> Query:
    """What an InferRequest asks; `chat` is what was read of its content, where that is a chat.

    Raises InvalidRequest, PayloadMalformed or PayloadTooLarge.
    """
    field, payload = content
    _hold_payload(len(payload))
    query = _query(request.context, request.features, size_bytes - len(payload), metadata)
    if chat is None:
        _read_content(field, payload, query)
    else:
        _take_chat(chat, len(payload), query)
    return query


def oip_query(data: Bytes, metadata: Mapping[str, str], classes: Container[str]) -> Query:
    """What a call of the Open Inference Protocol asks: its model_name is a class, or "auto".

    Raises InvalidRequest, UnknownClass, PayloadMalformed or PayloadTooLarge.
    """
    _hold_payload(len(data))
    request = read_request(data, field="")
    name = request.model_name
    if name not in ("", AUTO) and name not in classes:
        raise UnknownClass(
            f"there is no class {name!r}: name one of the configuration, or {AUTO!r}",
            field="model_name",
        )
    if request.model_version:
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


def _hold_payload(size_bytes: int) -> None:
    """Raises PayloadTooLarge."""
    if size_bytes > PAYLOAD_BYTES_MAX:
        raise PayloadTooLarge(
            f"{size_bytes} bytes: at most {PAYLOAD_BYTES_MAX}, or send features instead"
        )


def _query(
    context: pb.RequestContext, features: pb.Features, size_bytes: int, metadata: Mapping[str, str]
) -> Query:
    """`size_bytes` is at least what the context and the features take together."""
    labels, capabilities = _labels(context.labels), _capabilities(features.capabilities)
    if size_bytes > TEXT_BYTES_MAX:  # below it, no text in them can be too long
        _check_texts(context, features)
    return Query(
        traffic_class=context.traffic_class,
        tenant=context.tenant,
        user=context.user,
        labels=labels,
        metadata=metadata,
        priority=context.priority,
        response_format=context.response_format,
        domain=features.domain,
        capabilities=capabilities,
        payload_kind=_payload_kind(features.payload_kind),
        input_tokens=features.input_tokens if features.HasField("input_tokens") else None,
    )


def _check_texts(context: pb.RequestContext, features: pb.Features) -> None:
    """Raises InvalidRequest for the first that is too long."""
    short(context.request_id, "context.request_id")
    short(context.traffic_class, "context.traffic_class")
    short(context.tenant, "context.tenant")
    short(context.user, "context.user")
    short(context.response_format, "context.response_format")
    short(features.domain, "features.domain")
    for key, value in context.labels.items():
        short(key, "context.labels")
        short(value, "context.labels")
    for name in features.capabilities:
        short(name, "features.capabilities")


def _read_content(field: str, data: Bytes, query: Query) -> None:
    if field == "openai_chat":
        _take_chat(read_chat(data, field=field), len(data), query)
    elif field == "oip_request":
        _read_oip(data, field, query)
    else:
        try:
            text, query.overhead_tokens = decode_text(memoryview(data))
        except UnicodeDecodeError:
            raise PayloadMalformed("not UTF-8: send text", field=field) from None
        _take_text(text, query)
        query.size_bytes = len(data)


def _take_text(text: str, query: Query) -> None:
    query.text = text
    query.messages = 1
    query.payload_kind = PayloadKind.TEXT
    query.size_bytes = len(text) if text.isascii() else len(text.encode())


def _take_chat(chat: Chat, size_bytes: int, query: Query) -> None:
    """Takes from the body what the context and the features leave open."""
    query.payload_kind = PayloadKind.TEXT
    query.size_bytes = size_bytes
    query.text, query.earlier = chat.asked, chat.earlier
    query.messages = chat.messages
    query.overhead_tokens = chat.overhead_tokens
    query.response_format = query.response_format or chat.response_format
    query.capabilities = tuple(dict.fromkeys(query.capabilities + chat.capabilities))
    query.options = chat.options


def _read_oip(data: Bytes, field: str, query: Query) -> None:
    _read_tensors(read_request(data, field=field), field, query)


def _read_tensors(request: OipRequest, field: str, query: Query) -> None:
    query.payload_kind = PayloadKind.TENSORS
    query.size_bytes = len(request.data)
    query.text, query.overhead_tokens = read_text(request)
    query.tensors = partial(read_tensors, request, field=field)


def _labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    if len(labels) > LABELS_MAX:
        raise InvalidRequest(_LABELS.refusal, field="context.labels")
    return labels


def _capabilities(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > CAPABILITIES_MAX:
        raise InvalidRequest(_CAPABILITIES.refusal, field="features.capabilities")
    return tuple(names) if names else ()


def _payload_kind(number: int) -> PayloadKind:
    kind = _PAYLOAD_KINDS.get(number)
    if kind is None:
        raise InvalidRequest(f"there is no payload kind {number}", field="features.payload_kind")
    return kind
