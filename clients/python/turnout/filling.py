"""Fills messages with what a caller said; what cannot be sent is refused by its field's name."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from google.protobuf.message import Message

_Message = TypeVar("_Message", bound=Message)


def filled(message: type[_Message], fields: Mapping[str, object]) -> _Message:
    """Fields that are None stay unset. Raises TypeError or ValueError, and names the field."""
    try:
        return message(**fields)
    except (TypeError, ValueError):
        _blame(message, fields)
        raise


@contextmanager
def within(path: str) -> Iterator[None]:
    """What is refused in this block is named by its path."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # Not type(error): a UnicodeEncodeError cannot be made of a message alone.
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: {error}") from None


def refuse_half_characters(value: object, path: str) -> None:
    """Raises ValueError for the first text in a value that UTF-8 cannot hold, and says where."""
    if isinstance(value, str):
        _refuse_half_character(value, path)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            refuse_half_characters(key, path)
            refuse_half_characters(each, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for place, each in enumerate(value):
            refuse_half_characters(each, f"{path}[{place}]")


def _refuse_half_character(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path}: character {error.start} is half of a surrogate pair, which UTF-8 cannot "
            'hold: send whole characters, or replace halves by text.encode("utf-8", "replace")'
        ) from None


def _blame(message: type[Message], fields: Mapping[str, object]) -> None:
    """Raises what is wrong with one field by its name, which protobuf leaves out."""
    for name, value in fields.items():
        refuse_half_characters(value, name)
        with within(name):
            message(**{name: value})
