"""Bodies of OpenAI's clients: JSON with the place of a mistake, and what every kind of them says.

What is not looked at is not judged: that is between its sender and the model.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple, NoReturn, TypeAlias

from server.routing.errors import PayloadMalformed

# Of a body that is forwarded, with its pictures, of which each is megabytes. To read it takes three
# times as much, in the process that reads large ones.
FORWARDED_BYTES_MAX = 16 * 2**20
# More than a request may have of labels, which they become: they are refused there.
METADATA_MAX = 128
# A body has some 40 fields at most that mean anything.
OPTIONS_MAX = 128
# Beyond so many digits Python reads no number: the time to read one grows with their square.
_DIGITS_MAX = sys.get_int_max_str_digits()

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class Sender(NamedTuple):
    """What a body says beside what it asks."""

    model: str  # as its sender names it
    user: str
    metadata: dict[str, str]
    options: tuple[str, ...]  # which fields it has


def parsed(body: bytes, field: str) -> Mapping[str, Json]:
    """The JSON object; raises PayloadMalformed, or RecursionError where it is nested too deep."""
    try:
        request: Json = json.loads(body.decode())
    except ValueError as error:  # no UTF-8, or no JSON
        refuse(field, f"not JSON in UTF-8: {_without_content(error, body)}")
    if not isinstance(request, dict):
        refuse(field, "must be a JSON object, as OpenAI's API takes it")
    return request


def sender(request: Mapping[str, Json], field: str) -> Sender:
    """Raises PayloadMalformed."""
    user = request.get("user")
    return Sender(
        model=text(request.get("model"), f"{field}.model"),
        user=whole(user) if isinstance(user, str) else "",
        metadata=_metadata(request.get("metadata")),
        options=tuple(
            islice((name for name, one in request.items() if one is not None), OPTIONS_MAX)
        ),
    )


def text(value: Json, field: str) -> str:
    """Empty where it is not given; raises PayloadMalformed."""
    if value is None:
        return ""
    if not isinstance(value, str):
        refuse(field, "must be text")
    return whole(value)


def flag(value: Json, field: str) -> bool:
    """False where it is not given; raises PayloadMalformed."""
    if value is None:
        return False
    if not isinstance(value, bool):
        refuse(field, "must be true or false")
    return value


def listed(value: Json, field: str) -> Sequence[Json]:
    """Empty where it is not given; raises PayloadMalformed."""
    if value is None:
        return ()
    if not isinstance(value, list):
        refuse(field, "must be a list")
    return value


def whole(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can escape and no text can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def refuse(field: str, message: str) -> NoReturn:
    """Raises PayloadMalformed."""
    raise PayloadMalformed(message, field=field)


def _without_content(error: ValueError, body: bytes) -> str:
    """What is wrong and where, without repeating what was sent."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"a byte that cannot stand there, at byte {error.start}"
    return f"a number with too many digits{_place_of_digits(body)}"


def _place_of_digits(body: bytes) -> str:
    found = re.search(rb"\d{%d}" % (_DIGITS_MAX + 1), body)
    return "" if found is None else f", at byte {found.start()}"


def _metadata(value: Json) -> dict[str, str]:
    """The texts among them."""
    entries = value.items() if isinstance(value, dict) else ()
    texts = ((whole(key), whole(one)) for key, one in entries if isinstance(one, str))
    return dict(islice(texts, METADATA_MAX))
