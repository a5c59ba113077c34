"""The sync and the asyncio client: they send what `convert` builds, as often as `retry` says."""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

import grpc
import grpc.aio

from turnout import batch, convert
from turnout.answers import Answer, Decision, OutcomeResult
from turnout.errors import TurnoutError
from turnout.request import BatchFields, Outcome, OutcomeFields, RequestFields, SerializesToString
from turnout.retry import Call, RetryPolicy, Terms
from turnout.status import error_of, refusal_of
from turnout.v1.routing_pb2_grpc import RoutingServiceStub

if TYPE_CHECKING:  # the stubs know it, the generated code does not
    from turnout.v1.routing_pb2_grpc import RoutingServiceAsyncStub

MESSAGE_BYTES_MAX = 64 << 20  # the service's own limit

_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Else grpcio merges the channels of all clients of a process into one connection.
    ("grpc.use_local_subchannel_pool", 1),
    # Finds a dead connection under a long call. Many servers hang up on who pings more often
    # than every five minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Connects again within the patience of a RetryPolicy; by default, up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_RETRY = RetryPolicy()

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Client:
    """Asks Turnout and waits for its answer. Threads may share it: one is enough for a process.

    `timeout_s` is the default for each call, retries included; without any, the class's deadline
    holds. `credentials`, made by `grpc.ssl_channel_credentials`, are for a listener with TLS.
    Errors are `TurnoutError`.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        """Connects at the first call, to host:port or unix:PATH."""
        if credentials is None:
            self._channel = grpc.insecure_channel(address, _CHANNEL_OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, _CHANNEL_OPTIONS)
        self._stub = RoutingServiceStub(self._channel)
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
        text: str | None = None,
        oip_request: bytes | SerializesToString | None = None,
        openai_chat: bytes | Mapping[str, object] | None = None,
        dry_run: bool = False,
        timeout_s: float | None = None,
        **fields: Unpack[RequestFields],
    ) -> Decision:
        """Says which model should answer. `dry_run` explains and counts nothing.

        `openai_chat` is the body of a Chat Completions request, as it would be sent or as a dict.
        """
        request = convert.route_request(
            text=text,
            oip_request=oip_request,
            openai_chat=openai_chat,
            dry_run=dry_run,
            fields=fields,
        )
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        return convert.decision(self._send(self._stub.Route, request, call))

    def route_batch(
        self, requests: Iterable[BatchFields], *, timeout_s: float | None = None
    ) -> list[Decision | TurnoutError]:
        """Says which model should answer each of at most 10,000 requests, in their order.

        A request is a dict of the keywords of `route`, without `dry_run`. One that is refused is
        answered with the error that `route` would have raised; the others are decided.
        """
        request = batch.batch_request(requests)
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        return batch.decisions(self._send(self._stub.RouteBatch, request, call))

    def infer(
        self,
        oip_request: bytes | SerializesToString,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[RequestFields],
    ) -> Answer:
        """Has a model answer. Is sent again only where it is certain that no model was asked."""
        request = convert.infer_request(oip_request, fields=fields)
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        return convert.answer(self._send(self._stub.Infer, request, call))

    def report(
        self,
        decision_id: str,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[OutcomeFields],
    ) -> None:
        """Tells what became of a decision, in the fields of `Outcome`; a refusal raises."""
        outcome = Outcome(decision_id=decision_id, **fields)
        for result in self.report_many([outcome], timeout_s=timeout_s):
            if not result.counted:
                raise refusal_of(result)

    def report_many(
        self, outcomes: Iterable[Outcome], *, timeout_s: float | None = None
    ) -> tuple[OutcomeResult, ...]:
        """Tells of at most 1,000 decisions. Each is counted or refused by itself."""
        request = convert.report_request(outcomes)
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        response = self._send(self._stub.Report, request, call)
        return convert.results(response, may_have_arrived=call.may_have_arrived)

    def _send(
        self,
        rpc: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        call: Call,
    ) -> _Response:
        while True:
            try:
                response = rpc(request, timeout=call.left_s(time.monotonic()))
            except grpc.RpcError as raised:
                wait_s = _wait_s(call, raised)
            else:
                call.answered()
                return response
            time.sleep(wait_s)


class AsyncClient:
    """`Client` for asyncio. Tasks of one event loop may share it."""

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._terms = Terms(timeout_s=timeout_s, retry=retry)

    # Not before the first call: grpc.aio ties a channel to the loop that runs when it is made.
    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._address, _CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(self._address, self._credentials, _CHANNEL_OPTIONS)

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
        text: str | None = None,
        oip_request: bytes | SerializesToString | None = None,
        openai_chat: bytes | Mapping[str, object] | None = None,
        dry_run: bool = False,
        timeout_s: float | None = None,
        **fields: Unpack[RequestFields],
    ) -> Decision:
        """Says which model should answer. `dry_run` explains and counts nothing.

        `openai_chat` is the body of a Chat Completions request, as it would be sent or as a dict.
        """
        request = convert.route_request(
            text=text,
            oip_request=oip_request,
            openai_chat=openai_chat,
            dry_run=dry_run,
            fields=fields,
        )
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        return convert.decision(await self._send(self._stub.Route, request, call))

    async def route_batch(
        self, requests: Iterable[BatchFields], *, timeout_s: float | None = None
    ) -> list[Decision | TurnoutError]:
        """Says which model should answer each of at most 10,000 requests, in their order.

        A request is a dict of the keywords of `route`, without `dry_run`. One that is refused is
        answered with the error that `route` would have raised; the others are decided.
        """
        request = batch.batch_request(requests)
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        return batch.decisions(await self._send(self._stub.RouteBatch, request, call))

    async def infer(
        self,
        oip_request: bytes | SerializesToString,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[RequestFields],
    ) -> Answer:
        """Has a model answer. Is sent again only where it is certain that no model was asked."""
        request = convert.infer_request(oip_request, fields=fields)
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        return convert.answer(await self._send(self._stub.Infer, request, call))

    async def report(
        self,
        decision_id: str,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[OutcomeFields],
    ) -> None:
        """Tells what became of a decision, in the fields of `Outcome`; a refusal raises."""
        outcome = Outcome(decision_id=decision_id, **fields)
        for result in await self.report_many([outcome], timeout_s=timeout_s):
            if not result.counted:
                raise refusal_of(result)

    async def report_many(
        self, outcomes: Iterable[Outcome], *, timeout_s: float | None = None
    ) -> tuple[OutcomeResult, ...]:
        """Tells of at most 1,000 decisions. Each is counted or refused by itself."""
        request = convert.report_request(outcomes)
        call = self._terms.call(request, timeout_s, now_s=time.monotonic())
        response = await self._send(self._stub.Report, request, call)
        return convert.results(response, may_have_arrived=call.may_have_arrived)

    async def _send(
        self,
        rpc: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        call: Call,
    ) -> _Response:
        while True:
            try:
                response = await rpc(request, timeout=call.left_s(time.monotonic()))
            except grpc.RpcError as raised:
                wait_s = _wait_s(call, raised)
            else:
                call.answered()
                return response
            await asyncio.sleep(wait_s)


def _wait_s(call: Call, raised: grpc.RpcError) -> float:
    """How long until the next attempt; raises the error where there must be none."""
    error = error_of(raised)
    wait_s = call.wait_s(error, now_s=time.monotonic(), random=random.random())
    if wait_s is None:
        raise error from raised
    return wait_s
