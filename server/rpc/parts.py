"""Cuts a request that is a list into its parts: each is parsed by itself, when its turn comes."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice

from server.routing.errors import InvalidRequest
from server.rpc.carve import SMALL_BYTES_MAX
from server.rpc.shapes import REPEATED, STEPS_MAX, refuse
from server.rpc.turns import Turn
from server.rpc.wire import Bytes, Field, Malformed, Steps, TooManySteps, fields, tag

# Walked at one stretch, in a millisecond.
FIELDS_AT_ONCE = 2_000
_STEPS_A_PART = 2  # its tag, and a length of more than 127 bytes
_PART = tag(1)
# To cut up bytes takes half the time that a memoryview takes.
COPIED_BYTES_MAX = 2**20


class Parts:
    """Parts of a message. Each is cut out when its turn comes; until then it is two numbers.

    Of a large memoryview, large parts are not copied.
    """

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._bounds = array("L")  # where each begins and ends

    def __len__(self) -> int:
        return len(self._bounds) // 2

    def __iter__(self) -> Iterator[Bytes]:
        bounds = iter(self._bounds)
        for start, end in zip(bounds, bounds, strict=True):
            part = self._data[start:end]
            is_copied = type(part) is memoryview and len(part) <= SMALL_BYTES_MAX
            yield bytes(part) if is_copied else part

    def add(self, stretch: Iterable[Field]) -> None:
        """Adds the parts among these fields."""
        for key, start, end in stretch:
            if key == _PART:
                self._bounds.append(start)
                self._bounds.append(end)


async def cut(data: Bytes, field: str, turn: Turn) -> Parts:
    """Finds the parts of a message: its repeated field 1, whose full name is `field`.

    Raises InvalidRequest or PayloadMalformed.
    """
    limit = REPEATED[field]
    if len(data) <= COPIED_BYTES_MAX:
        data = bytes(data)
    parts = Parts(data)
    walked = fields(data, 0, len(data), Steps(STEPS_MAX + _STEPS_A_PART * limit.most))
    try:
        while stretch := list(islice(walked, FIELDS_AT_ONCE)):
            parts.add(stretch)
            if len(parts) > limit.most:
                raise InvalidRequest(limit.refusal, field=field.rpartition(".")[2])
            if len(stretch) == FIELDS_AT_ONCE:
                await turn()
    except (Malformed, TooManySteps) as error:
        refuse(error)
    return parts
