"""The sync and the asyncio client: they send what `exchange` builds, as often as `retry` says."""

import asyncio
import time
from collections.abc import Iterable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

import grpc
import grpc.aio

from turnout import exchange
from turnout.answers import Answer, ChatAnswer, Decision, OutcomeResult
from turnout.channel import aio_channel_to, channel_to
from turnout.chats import Chat, stream_request
from turnout.convert import shown
from turnout.errors import TurnoutError
from turnout.exchange import Exchange
from turnout.request import (
    BatchFields,
    Outcome,
    OutcomeFields,
    RequestFields,
    SerializesToString,
)
from turnout.resending import pause_s
from turnout.retry import RetryPolicy, Terms
from turnout.streams import AsyncStream, Stream
from turnout.v1.routing_pb2_grpc import RoutingServiceStub

if TYPE_CHECKING:  # the stubs know it, the generated code does not
    from turnout.v1.routing_pb2_grpc import RoutingServiceAsyncStub

_RETRY = RetryPolicy()

_Meaning = TypeVar("_Meaning")


class Client:
    """Asks Turnout and waits for its answer. Threads may share it: one is enough for a process.

    `timeout_s` is the default for each call, retries included; without any, the class's deadline
    holds. `credentials`, made by `grpc.ssl_channel_credentials`, are for a listener with TLS.
    `key` is what `turnout keys create` printed, where callers have to show one. Errors are
    `TurnoutError`.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        """Connects at the first call, to host:port or unix:PATH."""
        self._channel = channel_to(address, credentials)
        self._stub = RoutingServiceStub(self._channel)
        self._metadata = shown(key)
        self._terms = Terms(timeout_s=timeout_s, retry=retry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, and the calls that are under way."""
        self._channel.close()

    def route(
        self,
        *,
        dry_run: bool = False,
        timeout_s: float | None = None,
        **request: Unpack[BatchFields],
    ) -> Decision:
        """Says which model should answer. `dry_run` explains the decision and counts nothing.

        The content is one of `text`, `oip_request` and `openai_chat`, the body of a Chat
        Completions request as it would be sent or as a dict; or leave it out and say what you
        know of it. `BatchFields` lists all keywords.
        """
        return self._send(exchange.route(request, dry_run=dry_run), timeout_s)

    def route_batch(
        self, requests: Iterable[BatchFields], *, timeout_s: float | None = None
    ) -> list[Decision | TurnoutError]:
        """Says which model should answer each of at most 10,000 requests, in their order.

        A request is a dict of the keywords of `route`, without `dry_run`. One that is refused is
        answered with the error that `route` would have raised; the others are decided.
        """
        return self._send(exchange.route_batch(requests), timeout_s)

    def infer(
        self,
        oip_request: bytes | SerializesToString,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[RequestFields],
    ) -> Answer:
        """Has a model answer. It is sent again only where it is certain that no model was asked."""
        return self._send(exchange.infer(oip_request, fields), timeout_s)

    def chat(
        self, chat: Chat, *, timeout_s: float | None = None, **fields: Unpack[RequestFields]
    ) -> ChatAnswer:
        """Has a language model answer what a user says, or messages, or a Chat Completions body.

        It is sent again only where it is certain that no model was asked.
        """
        return self._send(exchange.chat(chat, fields), timeout_s)

    def stream(
        self, chat: Chat, *, timeout_s: float | None = None, **fields: Unpack[RequestFields]
    ) -> Stream:
        """The same, and the answer comes in pieces, as the model writes it.

        Nothing is sent again once the first is here. A stream that breaks off then raises.
        """
        request = stream_request(chat, fields)

        def begin(left_s: float | None) -> object:
            return self._stub.InferStream(request, timeout=left_s, metadata=self._metadata)

        return Stream(begin, self._terms.call(request, timeout_s, now_s=time.monotonic()))

    def report(
        self,
        decision_id: str,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[OutcomeFields],
    ) -> None:
        """Says what became of a decision, in the fields of `Outcome`; a refusal raises."""
        self._send(exchange.report(decision_id, fields), timeout_s)

    def report_many(
        self, outcomes: Iterable[Outcome], *, timeout_s: float | None = None
    ) -> tuple[OutcomeResult, ...]:
        """Says what became of at most 1,000 decisions. Each is counted or refused by itself."""
        return self._send(exchange.report_many(outcomes), timeout_s)

    def _send(self, sent: Exchange[_Meaning], timeout_s: float | None) -> _Meaning:
        call = self._terms.call(sent.request, timeout_s, now_s=time.monotonic())
        rpc = getattr(self._stub, sent.method)
        while True:
            try:
                left_s = call.left_s(time.monotonic())
                response = rpc(sent.request, timeout=left_s, metadata=self._metadata)
            except grpc.RpcError as raised:
                wait_s = pause_s(call, raised)
            else:
                call.answered()
                return sent.read(response, call)
            time.sleep(wait_s)


class AsyncClient:
    """`Client` for asyncio. Tasks of one event loop may share it."""

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._metadata = shown(key)
        self._terms = Terms(timeout_s=timeout_s, retry=retry)

    # Not before the first call: grpc.aio ties a channel to the loop that runs when it is made.
    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return aio_channel_to(self._address, self._credentials)

    @cached_property
    def _stub(self) -> "RoutingServiceAsyncStub":
        return RoutingServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection, and the calls that are under way."""
        await self._channel.close()

    async def route(
        self,
        *,
        dry_run: bool = False,
        timeout_s: float | None = None,
        **request: Unpack[BatchFields],
    ) -> Decision:
        """Says which model should answer, as `Client.route` does."""
        return await self._send(exchange.route(request, dry_run=dry_run), timeout_s)

    async def route_batch(
        self, requests: Iterable[BatchFields], *, timeout_s: float | None = None
    ) -> list[Decision | TurnoutError]:
        """Says which model should answer each request, as `Client.route_batch` does."""
        return await self._send(exchange.route_batch(requests), timeout_s)

    async def infer(
        self,
        oip_request: bytes | SerializesToString,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[RequestFields],
    ) -> Answer:
        """Has a model answer. It is sent again only where it is certain that no model was asked."""
        return await self._send(exchange.infer(oip_request, fields), timeout_s)

    async def chat(
        self, chat: Chat, *, timeout_s: float | None = None, **fields: Unpack[RequestFields]
    ) -> ChatAnswer:
        """Has a language model answer, as `Client.chat` does. To cancel it ends the exchange."""
        return await self._send(exchange.chat(chat, fields), timeout_s)

    def stream(
        self, chat: Chat, *, timeout_s: float | None = None, **fields: Unpack[RequestFields]
    ) -> AsyncStream:
        """The same, and the answer comes in pieces, as from `Client.stream`."""
        request = stream_request(chat, fields)

        def begin(left_s: float | None) -> object:
            return self._stub.InferStream(request, timeout=left_s, metadata=self._metadata)

        return AsyncStream(begin, self._terms.call(request, timeout_s, now_s=time.monotonic()))

    async def report(
        self,
        decision_id: str,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[OutcomeFields],
    ) -> None:
        """Says what became of a decision, in the fields of `Outcome`; a refusal raises."""
        await self._send(exchange.report(decision_id, fields), timeout_s)

    async def report_many(
        self, outcomes: Iterable[Outcome], *, timeout_s: float | None = None
    ) -> tuple[OutcomeResult, ...]:
        """Says what became of at most 1,000 decisions. Each is counted or refused by itself."""
        return await self._send(exchange.report_many(outcomes), timeout_s)

    async def _send(self, sent: Exchange[_Meaning], timeout_s: float | None) -> _Meaning:
        call = self._terms.call(sent.request, timeout_s, now_s=time.monotonic())
        rpc = getattr(self._stub, sent.method)
        while True:
            try:
                left_s = call.left_s(time.monotonic())
                response = await rpc(sent.request, timeout=left_s, metadata=self._metadata)
            except grpc.RpcError as raised:
                wait_s = pause_s(call, raised)
            else:
                call.answered()
                return sent.read(response, call)
            await asyncio.sleep(wait_s)
