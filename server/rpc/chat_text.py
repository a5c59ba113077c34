"""A text as a chat of one message, and what is said in the answers to it."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from server.routing.errors import PayloadTooLarge
from server.rpc.openai_body import Json
from server.rpc.wire import Bytes

# Escaped for JSON in a turn of the loop, which takes 2 ms.
TEXT_BYTES_MAX = 2**20

_MESSAGE = b'{"messages":[{"role":"user","content":%b}]}'


class Said(NamedTuple):
    """What a model wrote, and why it stopped, if it did."""

    text: str = ""
    finish_reason: str = ""


def chat_of(text: str) -> bytes:
    """The body of a chat; raises PayloadTooLarge."""
    escaped = json.dumps(text, ensure_ascii=False).encode()
    if len(escaped) > TEXT_BYTES_MAX + 2:  # the quotes
        raise PayloadTooLarge(
            f"more than {TEXT_BYTES_MAX:,} bytes: send it as openai_chat", field="text"
        )
    return _MESSAGE % escaped


def said(body: Bytes, part: str = "message") -> Said:
    """Of the first choice of an answer; `part` is "delta" of a chunk.

    An answer that is none says nothing: what its endpoint means is not ours to judge.
    """
    try:
        answer: Json = json.loads(bytes(body))
    except (ValueError, RecursionError):
        return Said()
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return Said()
    message, reason = choice.get(part), choice.get("finish_reason")
    content = message.get("content") if isinstance(message, Mapping) else None
    return Said(_whole(content), _whole(reason))


def chunks(piece: Bytes) -> Iterator[bytes]:
    """What each of some events of SSE has as data."""
    for event in bytes(piece).replace(b"\r\n", b"\n").split(b"\n\n"):
        if event.startswith(b"data: ") and b"\n" not in event:
            yield event[6:]
        elif data := b"\n".join(_data(event)):
            yield data


def _data(event: bytes) -> Iterator[bytes]:
    for line in event.split(b"\n"):
        if line.startswith(b"data:"):
            yield line[5:].removeprefix(b" ")


def _whole(value: Json) -> str:
    """A text; half of a pair of surrogates, which JSON can escape, no message can carry."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
