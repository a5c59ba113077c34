"""What an Infer carries, and what is asked of a model by it."""

from server.dispatch.exchange import CHAT, Asked, Operation
from server.routing.errors import InvalidRequest, PayloadMalformed, PayloadTooLarge
from server.rpc.carve import Content
from server.rpc.chat_text import chat_of
from server.rpc.openai_body import FORWARDED_BYTES_MAX
from server.rpc.openai_chat import Chat
from server.rpc.wire import Bytes
from turnout.v1 import routing_pb2 as pb

OIP_REQUEST, TEXT, OPENAI_CHAT = "oip_request", "text", "openai_chat"


def content_of(request: pb.InferRequest) -> Content:
    """What a small request carries; raises InvalidRequest.

    protobuf copies it each time, so it is asked for once.
    """
    if payload := request.oip_request:
        return Content(OIP_REQUEST, payload)
    field = request.WhichOneof("payload")
    if field is None:
        message = f"there is nothing to infer: set it, {TEXT} or {OPENAI_CHAT}"
        raise InvalidRequest(message, field=OIP_REQUEST)
    if field == TEXT:
        return Content(TEXT, request.text.encode())
    return Content(field, getattr(request, field))


def streamed_content_of(request: pb.InferStreamRequest) -> Content:
    """The same of one whose answer is to come in pieces."""
    field = request.WhichOneof("payload")
    if field is None:
        message = f"there is nothing to infer: set it or {OPENAI_CHAT}"
        raise InvalidRequest(message, field=TEXT)
    if field == TEXT:
        return Content(TEXT, request.text.encode())
    return Content(OPENAI_CHAT, request.openai_chat)


def asked_by_text(text: Bytes, *, streams: bool) -> Asked:
    """Raises PayloadMalformed or PayloadTooLarge."""
    try:
        body = chat_of(str(text, "utf-8"))
    except UnicodeDecodeError:
        raise PayloadMalformed("not UTF-8: send text", field=TEXT) from None
    return Asked(body, CHAT, streams=streams)


def asked_by_chat(body: Bytes, chat: Chat, *, streams: bool) -> Asked:
    """Raises InvalidRequest."""
    if chat.streams and not streams:
        message = "Infer answers whole: ask InferStream, or leave it out"
        raise InvalidRequest(message, field=f"{OPENAI_CHAT}.stream")
    return asked_of(body, CHAT, chat, streams=streams)


def asked_of(body: Bytes, operation: Operation, chat: Chat, *, streams: bool) -> Asked:
    """What is asked of a model by a body, as it was read."""
    return Asked(
        body,
        operation,
        streams=streams,
        wants_usage=streams and chat.wants_usage,
        output_tokens_set=chat.output_tokens_set,
        choices=chat.choices,
    )


def hold_chat(body: Bytes) -> None:
    """Raises PayloadTooLarge."""
    if len(body) > FORWARDED_BYTES_MAX:
        message = f"{len(body):,} bytes: at most {FORWARDED_BYTES_MAX:,}"
        raise PayloadTooLarge(message, field=OPENAI_CHAT)
