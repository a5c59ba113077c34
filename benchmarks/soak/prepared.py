"""Messages that cost a server more than their bytes, and honest ones to compare them with."""

import random
from collections.abc import Iterator, Sequence

from benchmarks.soak import raw
from benchmarks.soak.callers import ROUTE
from benchmarks.soak.raw import frame
from benchmarks.soak.stage import STRAY
from server.transport.http2.hpack.primitives import encoded_integer, encoded_string
from server.wire import oip_pb2
from turnout.v1 import routing_pb2 as pb

_WORDS = ("invoice", "please", "refund", "the", "of", "tensor", "graph", "why", "order", "quick")
# As many as a tensor may have, and as many tensors as are read.
_FIELDS, _TENSORS = 9_990, 62
_DELIMITED = 2
_SEVEN_BITS = 0x7F
# In a dynamic table of 4,096 bytes, beside a path; it may stand in a head four times.
_LARGE_FIELD_BYTES = 3_800
_WIDE = "\N{GRINNING FACE}"  # four bytes
_METRICS, _METRIC_CHARS, _LABEL_CHARS = 8, 64, 128


def empty_parts(size_bytes: int) -> bytes:
    """Field 1, empty, again and again: outcomes of a Report, requests of a RouteBatch."""
    return b"\x0a\0" * (size_bytes // 2)


def empty_capabilities(size_bytes: int) -> bytes:
    """A RouteRequest whose features are so large."""
    return _field(15, b"\x22\0" * (size_bytes // 2))


def zeros(size_bytes: int) -> bytes:
    """An Infer of so many bytes, which is answered with as many."""
    payload = oip_pb2.ModelInferRequest(raw_input_contents=[bytes(size_bytes)])
    return inferred(payload.SerializeToString())


def inferred(payload: bytes, *, capability: str = "") -> bytes:
    """An Infer of this ModelInferRequest."""
    asked = pb.InferRequest(context=pb.RequestContext(traffic_class=STRAY), oip_request=payload)
    if capability:
        asked.features.capabilities.append(capability)
    return asked.SerializeToString()


def many_fields() -> bytes:
    """A ModelInferRequest of tensors whose shapes are said a dimension at a time; the name of the
    first makes it look like text.
    """
    return _field(5, _field(1, b"\x12\x05BYTES")) + _field(5, b"\x18\1" * _FIELDS) * _TENSORS


def text(chars: int, seed: int) -> bytes:
    """A Route of an honest text."""
    dice = random.Random(seed)
    said = " ".join(dice.choices(_WORDS, k=chars // 5))[:chars]
    return pb.RouteRequest(context=_context(seed), text=said).SerializeToString()


def batch(requests: int, seed: int) -> bytes:
    """A RouteBatch in which no request is like another."""
    dice = random.Random(seed)
    made = pb.RouteBatchRequest()
    for number in range(requests):
        made.requests.add(
            context=_context(number),
            text=" ".join(dice.choices(_WORDS, k=12)),
            features=pb.Features(input_tokens=dice.randrange(1, 8_000)),
        )
    return made.SerializeToString()


def worst_chat() -> bytes:
    """A Route of the JSON that takes longest for its bytes: lists in lists, as deep as may be."""
    deep = b"[" * 900 + b"]" * 900
    lists = b",".join([deep] * 144)
    body = b'{"messages":[{"role":"user","content":"hello"}],"x":[%b]}' % lists
    return pb.RouteRequest(openai_chat=body).SerializeToString()


def large_report(decision_ids: Sequence[str], size_bytes: int) -> bytes:
    """An outcome for each decision, with as much in it as there may be, and intents that are too
    long: all of this size together.
    """
    made = pb.ReportRequest()
    for decision_id in decision_ids:
        outcome = made.outcomes.add(decision_id=decision_id, domain=_LABEL_CHARS * _WIDE)
        outcome.usage.input_tokens = 10
        outcome.intent = _LABEL_CHARS * "i"
        for metric in range(_METRICS):
            outcome.feedback.add(metric=f"{metric}{(_METRIC_CHARS - 1) * _WIDE}", value=1)
    more, rest = divmod(size_bytes - made.ByteSize(), len(decision_ids))
    for outcome in made.outcomes:
        outcome.intent += more * "i"
    made.outcomes[0].intent += rest * "i"
    return made.SerializeToString()


def costly_heads(count: int) -> bytes:
    """Requests without a message, in 270 bytes each. Their heads are 15 KB: a large field of the
    table four times, and one that is new.
    """
    return b"".join(
        frame(raw.HEADERS, raw.END_HEADERS | raw.END_STREAM, 2 * number + 1, block)
        for number, block in enumerate(_costly_blocks(count))
    )


def _costly_blocks(count: int) -> Iterator[bytes]:
    post_http = b"\x83\x86"
    yield post_http + _inserted(4, b"", ROUTE) + _inserted(0, b"x", _LARGE_FIELD_BYTES * "a")
    path, large = _index(63), _index(62)
    for number in range(1, count):
        # As long as leaves a thousand heads, as many as there may be streams, in a read.
        new = b"\0" + encoded_string(b"n") + encoded_string(b"%0230d" % number)
        yield post_http + path + 4 * large + new


def _index(number: int) -> bytes:
    return encoded_integer(0x80, _SEVEN_BITS, number)


def _inserted(name_index: int, name: bytes, value: str) -> bytes:
    """A literal that goes into the table; named by an index, or by itself."""
    first = bytes((0x40 | name_index,)) + (b"" if name_index else encoded_string(name))
    return first + encoded_string(value.encode())


def _context(number: int) -> pb.RequestContext:
    return pb.RequestContext(traffic_class=STRAY, request_id=f"{number}", user=f"user-{number}")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value > _SEVEN_BITS:
        octets.append(value & _SEVEN_BITS | 0x80)
        value >>= 7
    return bytes((*octets, value))
