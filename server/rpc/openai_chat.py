"""Reads the body of a Chat Completions request as far as routing needs it.

What is not looked at is not judged: unknown fields, roles and kinds of content are the model's
business.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, NoReturn, TypeAlias

from server.routing.errors import PayloadMalformed, PayloadTooLarge
from server.routing.reading.token_estimate import estimate_tokens
from server.rpc.wire import Bytes

BYTES_MAX = 256 * 2**10
# Of a chat that is forwarded, with its pictures, of which each is megabytes. To read it takes three
# times as much, in the process that reads large chats.
FORWARDED_BYTES_MAX = 16 * 2**20
# Parsing cannot be split, and holds the loop: 3.6 ms for the worst of this size (small numbers in
# tools), where as much text takes 0.1 ms. Larger ones, of up to 29 ms, are read beside the loop.
INLINE_BYTES_MAX = 32 * 2**10
MESSAGES_MAX = 4_096
# More than a request may have of labels, which they become: they are refused there.
METADATA_MAX = 128
# What chat formats put around a message and before the answer.
_TOKENS_EACH, _TOKENS_OF_ALL = 4, 3
# What a picture of 1,024 x 1,024 pixels takes in high detail.
_PICTURE_TOKENS = 765
# A shorter last turn, such as "and in French?", is read together with the turn before it.
_ASKED_CHARS_MIN = 40

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


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
        _refuse(field, "it is nested too deep: send features instead")


def _read(body: bytes, field: str) -> Chat:
    chat = _of(_parsed(body, field), field)
    return _scrubbed(chat) if b"\\u" in body else chat


def _of(request: Mapping[str, Json], field: str) -> Chat:
    tools = _list(request.get("tools"), f"{field}.tools")
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
        model=_text(request.get("model"), f"{field}.model"),
        streams=_flag(request.get("stream"), f"{field}.stream"),
        wants_usage=_wants_usage(request.get("stream_options")),
        user=_own(request.get("user")),
        metadata=_metadata(request.get("metadata")),
    )


def _parsed(body: bytes, field: str) -> Mapping[str, Json]:
    try:
        request: Json = json.loads(body.decode())
    except ValueError as error:  # no UTF-8, or no JSON
        _refuse(field, f"not JSON in UTF-8: {_without_content(error)}")
    if not isinstance(request, dict):
        _refuse(field, "must be a JSON object, as Chat Completions takes it")
    return request


def _without_content(error: ValueError) -> str:
    """What is wrong and where, without repeating what was sent."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return "a byte that cannot stand there"
    return "a number with too many digits"  # the time to read one grows with their square


def _scrubbed(chat: Chat) -> Chat:
    """The chat without halves of surrogate pairs, which JSON can escape and no text can hold."""
    return chat._replace(
        asked=_whole(chat.asked),
        earlier=_whole(chat.earlier),
        response_format=_whole(chat.response_format),
        model=_whole(chat.model),
        user=_whole(chat.user),
        metadata={_whole(key): _whole(value) for key, value in chat.metadata.items()},
    )


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _messages(request: Mapping[str, Json], field: str) -> Iterator[_Message]:
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        _refuse(f"{field}.messages", "must be a list of at least one message")
    if len(messages) > MESSAGES_MAX:
        raise PayloadTooLarge(
            f"{len(messages):,} messages: at most {MESSAGES_MAX:,}, or send features instead",
            field=f"{field}.messages",
        )
    for i, message in enumerate(messages):
        yield _message(message, f"{field}.messages[{i}]")


def _message(message: Json, field: str) -> _Message:
    if not isinstance(message, dict):
        _refuse(field, "must be an object with role and content")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        _refuse(f"{field}.role", "must be text, such as user")
    if isinstance(content, str):
        return _Message(role, content, 0)
    if content is None:  # of an assistant who only calls tools
        return _Message(role, "", 0)
    if not isinstance(content, list):
        _refuse(f"{field}.content", "must be text or a list of parts")
    return _of_parts(role, content, f"{field}.content")


def _of_parts(role: str, parts: Sequence[Json], field: str) -> _Message:
    texts, pictures = [], 0
    for i, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(kind, str):
            _refuse(f"{field}[{i}]", "must be an object with a type")
        text = part.get("text") if kind == "text" else ""
        if not isinstance(text, str):
            _refuse(f"{field}[{i}].text", "must be text")
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
        _refuse(f"{field}.type", "must be text, such as json_object")
    return kind


def _text(value: Json, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(field, "must be text")
    return value


def _flag(value: Json, field: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        _refuse(field, "must be true or false")
    return value


def _wants_usage(options: Json) -> bool:
    return isinstance(options, dict) and options.get("include_usage") is True


def _own(value: Json) -> str:
    """Whatever else it is, is between its sender and the model."""
    return value if isinstance(value, str) else ""


def _metadata(value: Json) -> dict[str, str]:
    """The texts among them."""
    entries = value.items() if isinstance(value, dict) else ()
    texts = ((key, text) for key, text in entries if isinstance(text, str))
    return dict(islice(texts, METADATA_MAX))


def _list(value: Json, field: str) -> Sequence[Json]:
    if value is None:
        return ()
    if not isinstance(value, list):
        _refuse(field, "must be a list")
    return value


def _refuse(field: str, message: str) -> NoReturn:
    raise PayloadMalformed(message, field=field)
