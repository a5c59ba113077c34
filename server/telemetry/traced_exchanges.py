"""Exchanges that put down in the span of their attempt what an answer says of itself."""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import TypeVar

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.trace import Span, get_current_span

from server.dispatch.exchange import (
    CHAT,
    TENSORS,
    Asked,
    Bytes,
    EventStream,
    Exchanges,
    Metadata,
    OpenExchange,
    OpenStream,
    Reply,
)
from server.routing.catalog import Model
from server.telemetry.messages import (
    CONTENT_BYTES_MAX,
    Json,
    input_messages,
    objects,
    output_messages,
    parsed,
)

_DATA = re.compile(rb"^data:[ ]?(\{[^\r\n]*+)", re.MULTILINE)
# As ids, names of models and reasons look: who writes words there says nothing.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+-]{1,128}")
_FINISHED = re.compile(rb'"finish_reason"[ \t]*:[ \t]*"')
# Of one answer: nobody asks for more choices.
_CHOICES_MAX = 16
_Open = TypeVar("_Open")


def traced(exchanges: Exchanges, *, content: bool) -> Exchanges:
    """The same exchanges; those within a span that is recorded are put down in it."""
    whole = _Traced(exchanges.whole, lambda span, send: _whole(span, send, content=content))
    streamed = _Traced(
        exchanges.streamed, lambda span, send: _streamed(span, send, content=content)
    )
    return Exchanges(whole, streamed, exchanges.held)


class _Traced(Mapping[str, _Open]):
    """Protocols come later, so each is looked up when it is asked."""

    def __init__(
        self, exchanges: Mapping[str, _Open], put_down: Callable[[Span, _Open], _Open]
    ) -> None:
        self._exchanges = exchanges
        self._put_down = put_down

    def __getitem__(self, protocol: str) -> _Open:
        send, span = self._exchanges[protocol], get_current_span()
        return self._put_down(span, send) if span.is_recording() else send

    def __iter__(self) -> Iterator[str]:
        return iter(self._exchanges)

    def __len__(self) -> int:
        return len(self._exchanges)


def _whole(span: Span, send: OpenExchange, *, content: bool) -> OpenExchange:
    async def open_exchange(
        address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        if content:
            _put_down_input(span, asked)
        reply = await send(address, model, asked, timeout_s, metadata)
        if asked.operation is not TENSORS:
            said = _Said(content=content)
            said.hear(parsed(reply.body), "message")
            said.put_down(span)
        return reply

    return open_exchange


def _streamed(span: Span, send: OpenStream, *, content: bool) -> OpenStream:
    async def open_stream(
        address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        if content:
            _put_down_input(span, asked)
        stream = await send(address, model, asked, timeout_s, metadata)
        stream.pieces = _heard(stream.pieces, span, _Said(content=content))
        return stream

    return open_stream


async def _heard(
    pieces: AsyncGenerator[Bytes, None], span: Span, said: "_Said"
) -> AsyncGenerator[Bytes, None]:
    """The same pieces; what they said is put down once they end."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                said.hear_piece(bytes(piece))
                yield piece
    finally:
        said.put_down(span)


def _put_down_input(span: Span, asked: Asked) -> None:
    if asked.operation is CHAT and (messages := input_messages(parsed(asked.body))):
        span.set_attribute(gen_ai.GEN_AI_INPUT_MESSAGES, messages)


class _Said:
    """What one answer said of itself: its id, its model, why it ended; its words if wanted."""

    def __init__(self, *, content: bool) -> None:
        self._content = content
        self._left_bytes = CONTENT_BYTES_MAX
        self._texts: dict[int, list[str]] = {}  # by choice
        self._whole: list[tuple[Mapping[str, Json], str]] = []
        self._known: dict[str, str] = {}
        self._reasons: dict[int, str] = {}

    def hear_piece(self, piece: bytes) -> None:
        """Of a stream that nobody wants to read only the first and the last chunks tell more."""
        if self._known and not self._content and not _FINISHED.search(piece):
            return
        for chunk in _DATA.findall(piece):
            self.hear(parsed(chunk), "delta")

    def hear(self, answer: Mapping[str, Json], inner: str) -> None:
        """Takes a whole answer, or a chunk of one."""
        for name, key in (
            (gen_ai.GEN_AI_RESPONSE_ID, "id"),
            (gen_ai.GEN_AI_RESPONSE_MODEL, "model"),
        ):
            if name not in self._known and (value := _plain(answer.get(key))):
                self._known[name] = value
        for place, choice in enumerate(objects(answer.get("choices"))[:_CHOICES_MAX]):
            at = choice.get("index")
            self._hear_choice(at if isinstance(at, int) else place, choice, inner)

    def put_down(self, span: Span) -> None:
        span.set_attributes(self._known)
        if self._reasons:
            reasons = [self._reasons[at] for at in sorted(self._reasons)]
            span.set_attribute(gen_ai.GEN_AI_RESPONSE_FINISH_REASONS, reasons)
        if self._content and (messages := output_messages([*self._whole, *self._streamed()])):
            span.set_attribute(gen_ai.GEN_AI_OUTPUT_MESSAGES, messages)

    def _hear_choice(self, at: int, choice: Mapping[str, Json], inner: str) -> None:
        reason, message = _plain(choice.get("finish_reason")), choice.get(inner)
        if reason and len(self._reasons) < _CHOICES_MAX:
            self._reasons[at] = reason
        if not (self._content and isinstance(message, dict)):
            return
        if inner == "message":
            self._whole.append((message, reason))
        elif isinstance(text := message.get("content"), str) and len(text) <= self._left_bytes:
            self._left_bytes -= len(text)
            self._texts.setdefault(at, []).append(text)

    def _streamed(self) -> Iterator[tuple[Mapping[str, Json], str]]:
        for at, texts in sorted(self._texts.items()):
            yield {"content": "".join(texts)}, self._reasons.get(at, "")


def _plain(value: Json) -> str:
    """Empty where it is nothing of the kind."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else ""
