"""Who asks and for what, as far as it stands beside the chat: in headers, or in its metadata."""

from collections.abc import Container, Iterable, Mapping
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from server.routing.errors import InvalidRequest
from server.rpc.class_name import Named, class_named
from server.rpc.openai_chat import Chat
from turnout.v1 import routing_pb2 as pb

CLASS, TENANT, USER = "x-turnout-class", "x-turnout-tenant", "x-turnout-user"
LABELS, PRIORITY = "x-turnout-labels", "x-turnout-priority"
NAMES = frozenset((CLASS, TENANT, USER, LABELS, PRIORITY))
_LISTED_AT = " (GET /v1/models lists them)"
_INT32 = range(-(2**31), 2**31)

Headers = CIMultiDictProxy[str]


def context_of(headers: Headers, chat: Chat, classes: Container[str]) -> pb.RequestContext:
    """What routing is told of the request; raises InvalidRequest, UnknownClass or
    ClassAmbiguous.

    What is said twice has to be the same. What else the metadata hold are labels.
    """
    given = {name: _given(name, headers, chat.metadata) for name in NAMES}
    labels = {key: value for key, value in chat.metadata.items() if key not in NAMES}
    return pb.RequestContext(
        traffic_class=class_named(
            Named(chat.model, "model"),
            Named(given[CLASS], CLASS),
            classes,
            listed_at=_LISTED_AT,
        ),
        tenant=given[TENANT],
        user=given[USER] or chat.user,
        labels=labels | dict(_labels(given[LABELS])),
        priority=_priority(given[PRIORITY]),
    )


def _given(name: str, headers: Headers, metadata: Mapping[str, str]) -> str:
    """Empty where it is not given."""
    said = {*headers.getall(name, ()), *((metadata[name],) if name in metadata else ())}
    if len(said) > 1:
        raise InvalidRequest("it is given twice, and not the same: leave one out", field=name)
    return said.pop() if said else ""


def _labels(text: str) -> Iterable[tuple[str, str]]:
    """key=value, joined by commas; what is neither is written %2C and %3D."""
    for pair in filter(None, map(str.strip, text.split(","))):
        key, separator, value = pair.partition("=")
        if not (separator and key):
            raise InvalidRequest("must be key=value, joined by commas", field=LABELS)
        yield unquote(key.strip()), unquote(value.strip())


def _priority(text: str) -> int:
    try:
        priority = int(text or "0")
    except ValueError:
        priority = _INT32.stop
    if priority not in _INT32:
        raise InvalidRequest("must be a whole number of 32 bits", field=PRIORITY)
    return priority
