"""Reads the body of a Chat Completions request as far as routing needs it.

What is not looked at is not judged: unknown fields, roles and kinds of content are the model's
business.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from server.routing.errors import PayloadTooLarge
from server.routing.reading.token_estimate import estimate_tokens
from server.rpc.openai_body import Json, flag, listed, parsed, refuse, sender, whole
from server.rpc.wire import Bytes

BYTES_MAX = 256 * 2**10
# Parsing cannot be split, and holds the loop: 3.6 ms for the worst of this size (small numbers in
# tools), where as much text takes 0.1 ms. Larger ones, of up to 29 ms, are read beside the loop.
INLINE_BYTES_MAX = 32 * 2**10
MESSAGES_MAX = 4_096
# What chat formats put around a message and before the answer.
_TOKENS_EACH, _TOKENS_OF_ALL = 4, 3
# What a picture of 1,024 x 1,024 pixels takes in high detail.
_PICTURE_TOKENS = 765
# No model writes so much, and marshal takes any number below it for what it is.
_COUNT_MAX = 2**31 - 1
# A shorter last turn, such as "and in French?", is read together with the turn before it.
_ASKED_CHARS_MIN = 40


class Chat(NamedTuple):
    """What routing reads of a chat."""

    asked: str  # the last turn of the user
    earlier: str  # what else was said, without the system prompt
    messages: int
    overhead_tokens: int  # of the system prompt, tools, pictures and what joins messages
    capabilities: tuple[str, ...]  # what the model has to have
    response_format: str  # its type; empty: not said
    model: str = ""  # as its sender names it
    streams: bool = False  # the answer is to come in pieces
    wants_usage: bool = False  # among them, as `stream_options` say
    user: str = ""
    metadata: dict[str, str] = {}  # noqa: RUF012 - never changed, and marshal knows no other
    options: tuple[str, ...] = ()  # which fields its body has
    output_tokens_set: int | None = None  # the most that each of its choices may have
    choices: int = 1


class _Message(NamedTuple):
    role: str
    text: str
    pictures: int


def read_chat(body: Bytes, *, field: str, bytes_max: int = BYTES_MAX) -> Chat:
    """Reads a chat; `field` is the path of `body`.

    Raises PayloadTooLarge, or PayloadMalformed with the place of the mistake.
    """
    if len(body) > bytes_max:
        raise PayloadTooLarge(
            f"{len(body):,} bytes: at most {bytes_max:,}; leave the data of pictures out, "
            "or send features instead",
            field=field,
        )
    try:
        return _read(bytes(body), field)
    except RecursionError:
        refuse(field, "it is nested too deep: send features instead")


def _read(body: bytes, field: str) -> Chat:
    chat = _of(parsed(body, field), field)
    return _scrubbed(chat) if b"\\u" in body else chat


def _of(request: Mapping[str, Json], field: str) -> Chat:
    tools = listed(request.get("tools"), f"{field}.tools")
    messages = list(_messages(request, field))
    asked, earlier = _turns([m for m in messages if m.role not in ("system", "developer")])
    system = "\n".join(m.text for m in messages if m.role in ("system", "developer"))
    pictures = sum(message.pictures for message in messages)
    return Chat(
        asked=asked,
        earlier=earlier,
        messages=len(messages),
        overhead_tokens=(
            estimate_tokens(system)
            + (estimate_tokens(json.dumps(tools)) if tools else 0)
            + pictures * _PICTURE_TOKENS
            + len(messages) * _TOKENS_EACH
            + _TOKENS_OF_ALL
        ),
        capabilities=("images",) * (pictures > 0) + ("tools",) * (len(tools) > 0),
        response_format=_format(request.get("response_format"), f"{field}.response_format"),
        streams=flag(request.get("stream"), f"{field}.stream"),
        wants_usage=_wants_usage(request.get("stream_options")),
        output_tokens_set=_output_tokens_set(request),
        choices=_count(request.get("n")) or 1,
        **sender(request, field)._asdict(),
    )


def _scrubbed(chat: Chat) -> Chat:
    """The chat without halves of surrogate pairs, which JSON can escape and no text can hold."""
    return chat._replace(
        asked=whole(chat.asked),
        earlier=whole(chat.earlier),
        response_format=whole(chat.response_format),
    )


def _messages(request: Mapping[str, Json], field: str) -> Iterator[_Message]:
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        refuse(f"{field}.messages", "must be a list of at least one message")
    if len(messages) > MESSAGES_MAX:
        raise PayloadTooLarge(
            f"{len(messages):,} messages: at most {MESSAGES_MAX:,}, or send features instead",
            field=f"{field}.messages",
        )
    for i, message in enumerate(messages):
        yield _message(message, f"{field}.messages[{i}]")


def _message(message: Json, field: str) -> _Message:
    if not isinstance(message, dict):
        refuse(field, "must be an object with role and content")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        refuse(f"{field}.role", "must be text, such as user")
    if isinstance(content, str):
        return _Message(role, content, 0)
    if content is None:  # of an assistant who only calls tools
        return _Message(role, "", 0)
    if not isinstance(content, list):
        refuse(f"{field}.content", "must be text or a list of parts")
    return _of_parts(role, content, f"{field}.content")


def _of_parts(role: str, parts: Sequence[Json], field: str) -> _Message:
    texts, pictures = [], 0
    for i, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(kind, str):
            refuse(f"{field}[{i}]", "must be an object with a type")
        text = part.get("text") if kind == "text" else ""
        if not isinstance(text, str):
            refuse(f"{field}[{i}].text", "must be text")
        if text:
            texts.append(text)
        pictures += kind == "image_url"
    return _Message(role, "\n".join(texts), pictures)


def _turns(turns: Sequence[_Message]) -> tuple[str, str]:
    """What is asked, and the rest of what was said."""
    asked: list[int] = []
    length = 0
    for i in range(len(turns) - 1, -1, -1):
        if turns[i].role == "user" and turns[i].text:
            asked.append(i)
            length += len(turns[i].text)
            if length >= _ASKED_CHARS_MIN:
                break
    if not asked and turns:
        asked = [len(turns) - 1]
    taken = frozenset(asked)
    rest = [turn.text for i, turn in enumerate(turns) if turn.text and i not in taken]
    return "\n".join(turns[i].text for i in reversed(asked)), "\n".join(rest)


def _format(value: Json, field: str) -> str:
    if value is None:
        return ""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        refuse(f"{field}.type", "must be text, such as json_object")
    return kind


def _wants_usage(options: Json) -> bool:
    return isinstance(options, dict) and options.get("include_usage") is True


def _output_tokens_set(request: Mapping[str, Json]) -> int | None:
    """The lower of the two: a body that has both is judged by its server."""
    said = (_count(request.get("max_completion_tokens")), _count(request.get("max_tokens")))
    return min((one for one in said if one is not None), default=None)


def _count(value: Json) -> int | None:
    """None where it is none: whoever answers says so."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value <= _COUNT_MAX else None
