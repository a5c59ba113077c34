"""Methods of servicers that take and return bytes, for those whose messages are many or large."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])
_RAW = "takes_and_returns_bytes"


def raw(method: _Method) -> _Method:
    """Marks a method of a servicer that takes and returns bytes; of many it takes a view.

    What it returns may come in parts. One that gives a stream returns nothing, and writes bytes.
    """
    setattr(method, _RAW, True)
    return method


def is_raw(method: object) -> bool:
    """Whether it is so marked."""
    return bool(getattr(method, _RAW, False))


def whole(message: bytes | memoryview | Sequence[bytes | memoryview]) -> bytes:
    """Joins the parts of a message for grpcio; our own transport sends them as they are."""
    return b"".join((message,) if isinstance(message, bytes | memoryview) else message)
