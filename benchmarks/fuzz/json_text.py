"""Changes of inputs that are JSON, which is JSON again afterwards."""

import json
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_DEPTHS = (2, 20, 300, 990, 2_000)
_TIMES = (2, 10, 100, 1_000, 5_000, 30_000)
_DEEPER = 0.7
# Whatever is made ends about here: more is cut off, and no JSON any more.
_CHARS_MAX = 250_000
_PLAIN: tuple[Json, ...] = (None, True, 0, -1, 10**30, 1e308, "", "\ud800", "\0", [], {}, [[]])
_KEYS = ("role", "content", "type", "text", "messages", "tools", "name", "id", "x")


def change_json(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """A value somewhere in it; anything else stays as it is."""
    try:
        read: Json = json.loads(data)
        return json.dumps(_changed(read, dice)).encode()
    except (ValueError, RecursionError):
        return data


def nest_json(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """Deep in lists or objects, deeper than a reader may go."""
    depth = dice.choice(_DEPTHS)
    opened, closed = dice.choice(((b"[", b"]"), (b'{"x":', b"}")))
    return opened * depth + data + closed * depth


def _changed(value: Json, dice: random.Random) -> Json:
    if isinstance(value, list) and value and dice.random() < _DEEPER:
        i = dice.randrange(len(value))
        return [*value[:i], _changed(value[i], dice), *value[i + 1 :]]
    if isinstance(value, dict) and value and dice.random() < _DEEPER:
        key = dice.choice(list(value))
        return value | {key: _changed(value[key], dice)}
    return dice.choice(_CHANGES)(value, dice)


def _times(value: Json, dice: random.Random) -> int:
    return min(dice.choice(_TIMES), 1 + _CHARS_MAX // len(json.dumps(value)))


def _again(value: Json, dice: random.Random) -> Json:
    """Many like it."""
    if isinstance(value, str):
        return (value or "a") * min(dice.choice(_TIMES), 1 + _CHARS_MAX // (len(value) or 1))
    if isinstance(value, list) and value:
        return value + [dice.choice(value)] * _times(value, dice)
    return [value] * _times(value, dice)


def _with_keys(value: Json, dice: random.Random) -> Json:
    before = value if isinstance(value, dict) else {}
    return before | {f"{dice.choice(_KEYS)}{i or ''}": value for i in range(_times(value, dice))}


def _nested(value: Json, dice: random.Random) -> Json:
    for _ in range(dice.choice((1, 5, 50, 200))):
        value = [value] if dice.random() < 0.5 else {dice.choice(_KEYS): value}  # noqa: PLR2004 - half
    return value


def _another(_value: Json, dice: random.Random) -> Json:
    return dice.choice(_PLAIN)


_Change = Callable[[Json, random.Random], Json]
_CHANGES: tuple[_Change, ...] = (_again, _again, _with_keys, _nested, _another)
