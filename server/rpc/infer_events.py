"""Writes an answer that comes in pieces as the messages of a response."""

from collections.abc import Iterator

from server.dispatch.answers import StreamedAnswer
from server.dispatch.exchange import Bytes
from server.routing.errors import RoutingError
from server.rpc.answer_metadata import head, token_trailers
from server.rpc.chat_text import chunks, said
from server.rpc.errors import Context
from server.rpc.wire import delimited
from turnout.v1 import routing_pb2 as pb

_CHUNK = pb.InferStreamResponse.OPENAI_CHUNK_FIELD_NUMBER


async def write_events(answer: StreamedAnswer, context: Context, *, is_text: bool) -> str:
    """Returns why a text ended; raises what ended the answer, with its trailers."""
    await context.send_initial_metadata(head(answer))
    writing = _Texts() if is_text else _Chunks()
    try:
        async for piece in answer.pieces:
            for event in writing.events(piece):
                await context.write(event)
    except RoutingError as error:
        error.trailers = token_trailers(answer)
        raise
    context.set_trailing_metadata(token_trailers(answer))
    return writing.finish_reason


class _Chunks:
    """Each as its endpoint sent it."""

    finish_reason = ""

    def events(self, piece: Bytes) -> Iterator[bytes]:
        for chunk in chunks(piece):
            yield delimited(_CHUNK, chunk)


class _Texts:
    """What was written alone."""

    def __init__(self) -> None:
        self.finish_reason = ""

    def events(self, piece: Bytes) -> Iterator[bytes]:
        for chunk in chunks(piece):
            text, reason = said(chunk, "delta")
            self.finish_reason = reason or self.finish_reason
            if text:
                yield pb.InferStreamResponse(text_delta=text).SerializeToString()
