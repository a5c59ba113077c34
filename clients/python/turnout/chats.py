"""Chats: from a caller's words to messages of the contract, and from answers to plain values."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from turnout import convert
from turnout.answers import ChatAnswer, Chunk, StreamEnd
from turnout.filling import refuse_half_characters
from turnout.request import RequestFields
from turnout.v1 import routing_pb2 as pb

# What a user says, all messages of a conversation, or the body of a Chat Completions request.
Chat = str | Sequence[Mapping[str, object]] | Mapping[str, object] | bytes


def chat_request(chat: Chat, fields: RequestFields) -> pb.InferRequest:
    """Raises TypeError or ValueError, and names the keyword."""
    text, body = _content(chat)
    return convert.payload_request(pb.InferRequest, fields, text=text, openai_chat=body)


def stream_request(chat: Chat, fields: RequestFields) -> pb.InferStreamRequest:
    """Raises TypeError or ValueError, and names the keyword."""
    text, body = _content(chat)
    return convert.payload_request(pb.InferStreamRequest, fields, text=text, openai_chat=body)


def answer(response: pb.InferResponse) -> ChatAnswer:
    text, finish_reason = response.text, response.finish_reason
    if response.openai_chat:
        text, finish_reason = _said(response.openai_chat, "message")
    return ChatAnswer(
        text=text,
        finish_reason=finish_reason,
        body=response.openai_chat,
        **convert.answered(response),
    )


class Reading:
    """Reads the messages of one stream."""

    def __init__(self) -> None:
        self.has_ended = False  # the last message, which tells what it took, was read
        self._finish_reason = ""

    def chunk(self, message: pb.InferStreamResponse) -> Chunk:
        if message.HasField("end"):
            self.has_ended = True
            return Chunk(end=self._end(message.end))
        if message.openai_chunk:
            said = _said(message.openai_chunk, "delta")
            self._finish_reason = said.finish_reason or self._finish_reason
            return Chunk(text=said.text, body=message.openai_chunk)
        return Chunk(text=message.text_delta)

    def _end(self, end: pb.InferResponse) -> StreamEnd:
        finish_reason = end.finish_reason or self._finish_reason
        return StreamEnd(finish_reason=finish_reason, **convert.answered(end))


class _Said(NamedTuple):
    """What a model wrote, and why it stopped, if it did."""

    text: str = ""
    finish_reason: str = ""


def _content(chat: Chat) -> tuple[str | None, bytes | None]:
    """The text, or else the body."""
    if isinstance(chat, str):
        refuse_half_characters(chat, "chat")
        return chat, None
    if isinstance(chat, Sequence) and not isinstance(chat, bytes):
        chat = {"messages": list(chat)}
    return None, convert.body(chat, "chat")


def _said(body: bytes, part: str) -> _Said:
    """Of the first choice; `part` is "delta" of a chunk.

    An answer that is none says nothing: what its endpoint means is not ours to judge.
    """
    try:
        choice = json.loads(body)["choices"][0]
        message = choice.get(part) or {}
        return _Said(_whole(message.get("content")), _whole(choice.get("finish_reason")))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _Said()


def _whole(value: object) -> str:
    """A text; half of a pair of surrogates, which JSON can escape, no terminal can show."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
