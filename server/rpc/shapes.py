"""What requests may repeat, and how often: checked on their bytes, before they are parsed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from google.protobuf.descriptor import Descriptor

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.routing.outcomes import ATTEMPTS_MAX, FEEDBACK_MAX
from server.rpc.wire import Bytes, Malformed, Steps, TooManySteps, fields, tag

# A context with all that it may have takes 400 of these; all of them take a millisecond or two.
STEPS_MAX = 2_000
LABELS_MAX = 64
CAPABILITIES_MAX = 16
# Slice by slice they are decided in 40 ms where all are alike, in 250 where no plan decides them.
REQUESTS_MAX = 10_000
# Piece by piece the control plane settles them in about 10 ms.
OUTCOMES_MAX = 1_000


class Repeated(NamedTuple):
    """How many there may be of a field, and what is said where there are more."""

    most: int
    refusal: str


# Every repeated field of every request that a worker parses. Those within an outcome are checked
# with its other limits, so that an outcome which breaks one is refused by itself.
REPEATED: Mapping[str, Repeated] = {
    "turnout.v1.RequestContext.labels": Repeated(
        LABELS_MAX, f"more than {LABELS_MAX} labels: send fewer"
    ),
    "turnout.v1.Features.capabilities": Repeated(
        CAPABILITIES_MAX, f"more than {CAPABILITIES_MAX}: send fewer"
    ),
    "turnout.v1.RouteBatchRequest.requests": Repeated(
        REQUESTS_MAX, f"more than {REQUESTS_MAX:,} requests: send them in several calls"
    ),
    "turnout.v1.ReportRequest.outcomes": Repeated(
        OUTCOMES_MAX, f"more than {OUTCOMES_MAX:,} outcomes: send them in several calls"
    ),
    "turnout.v1.Outcome.feedback": Repeated(FEEDBACK_MAX, f"at most {FEEDBACK_MAX}: send fewer"),
    "turnout.v1.Outcome.attempts": Repeated(ATTEMPTS_MAX, f"at most {ATTEMPTS_MAX}: send fewer"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Which fields of a message a walk looks at: messages within it, and what may be too many."""

    messages: Mapping[int, "Shape"]  # by tag
    repeated: Mapping[int, tuple[str, Repeated]]  # path and limit, by tag


def shape_of(message: Descriptor, path: str = "") -> Shape:
    """Raises KeyError where a repeated field has no limit."""
    parts = [(part, f"{path}.{part.name}" if path else part.name) for part in message.fields]
    return Shape(
        {
            tag(part.number): shape_of(part.message_type, where)
            for part, where in parts
            if part.message_type is not None
        },
        {
            tag(part.number): (where, REPEATED[part.full_name])
            for part, where in parts
            if part.is_repeated
        },
    )


def hold_shape(data: Bytes, shape: Shape, steps_max: int = STEPS_MAX) -> None:
    """Raises InvalidRequest for what is too many, PayloadMalformed for what is no message."""
    try:
        _walk(data, 0, len(data), shape, Steps(steps_max), Counter())
    except (Malformed, TooManySteps) as error:
        refuse(error)


def refuse(error: Malformed | TooManySteps) -> NoReturn:
    """Raises PayloadMalformed, which says whether there were too many fields."""
    if isinstance(error, TooManySteps):
        raise PayloadMalformed("the request has too many fields: send fewer") from None
    raise PayloadMalformed("the request is not a message of this method") from None


def _walk(data: Bytes, at: int, end: int, shape: Shape, steps: Steps, counts: Counter[str]) -> None:
    for key, start, stop in fields(data, at, end, steps):
        if key in shape.repeated:
            path, limit = shape.repeated[key]
            # One message may come in several parts, which protobuf merges: counted over all.
            counts[path] += 1
            if counts[path] > limit.most:
                raise InvalidRequest(limit.refusal, field=path)
        if key in shape.messages:
            _walk(data, start, stop, shape.messages[key], steps, counts)
