"""Parses requests. A small one is parsed whole, for its size bounds what that costs.

The content of a large one is cut out where it lies, uncopied, and the rest is walked before
protobuf makes objects of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.rpc.malformed import malformed, parsed
from server.rpc.shapes import STEPS_MAX, Shape, hold_shape, refuse, shape_of
from server.rpc.wire import Bytes, Malformed, Steps, TooManySteps, fields, tag
from turnout.v1 import routing_pb2 as pb

# The worst of this size, of empty fields alone, is parsed in 50 us and takes 70 KB.
SMALL_BYTES_MAX = 4_096
# Context and features with all that they may have, each as long as it may be, take 40 KB.
REST_BYTES_MAX = 64 * 2**10

_Request = TypeVar("_Request", bound=Message)


class Content(NamedTuple):
    """What a request carries."""

    field: str
    data: Bytes


class Carver(Generic[_Request]):
    """Parses requests of one kind."""

    def __init__(self, kind: type[_Request], contents: tuple[str, ...]) -> None:
        message = cast("Descriptor", kind.DESCRIPTOR)
        # It takes memoryviews too, which its stubs do not say.
        self._parse: Callable[[Any], _Request] = kind.FromString
        self._contents: Mapping[int, str] = {
            tag(message.fields_by_name[n].number): n for n in contents
        }
        self._shape: Shape = shape_of(message)

    def read(self, data: Bytes) -> tuple[_Request, Content | None]:
        """The request; of a large one without its content, which is returned beside it.

        Raises InvalidRequest or PayloadMalformed.
        """
        if len(data) <= SMALL_BYTES_MAX:
            try:
                return self._parse(data), None
            except DecodeError:
                raise malformed(data, self._parse) from None
        try:
            content, rest = self._cut(memoryview(data))
        except (Malformed, TooManySteps) as error:
            refuse(error)
        hold_shape(rest, self._shape)
        return parsed(rest, self._parse), content

    def _cut(self, data: memoryview) -> tuple[Content | None, bytes]:
        """The content, and what stands before and behind it."""
        content, before, behind, at = None, len(data), len(data), 0
        for key, start, end in fields(data, 0, len(data), Steps(STEPS_MAX)):
            if key in self._contents:
                if content is not None:
                    raise PayloadMalformed("the request has its content twice: send it once")
                content, before, behind = Content(self._contents[key], data[start:end]), at, end
            at = end
        _hold_rest(before + len(data) - behind)
        return content, b"".join((data[:before], data[behind:]))


def _hold_rest(size_bytes: int) -> None:
    if size_bytes > REST_BYTES_MAX:
        raise InvalidRequest(
            f"more than {REST_BYTES_MAX:,} bytes beside the content: shorten context and features",
            field="context",
        )


ROUTE = Carver(pb.RouteRequest, ("text", "oip_request", "openai_chat"))
INFER = Carver(pb.InferRequest, ("oip_request", "text", "openai_chat"))
INFER_STREAM = Carver(pb.InferStreamRequest, ("text", "openai_chat"))
