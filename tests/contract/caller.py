"""Calls of the test service, typed, by grpcio; none waits for ever."""

from collections.abc import AsyncIterable, Iterable
from typing import Any

import grpc
import pytest

from tests.contract.service import SERVICE

TIMEOUT_S = 20.0

Unary = grpc.aio.UnaryUnaryCall[bytes, bytes]
Input = grpc.aio.StreamUnaryCall[bytes, bytes]
Output = grpc.aio.UnaryStreamCall[bytes, bytes]
Duplex = grpc.aio.StreamStreamCall[bytes, bytes]


def path(method: str) -> str:
    return method if method.startswith("/") else f"/{SERVICE}/{method}"


def unary(
    channel: grpc.aio.Channel,
    method: str,
    request: bytes = b"",
    *,
    timeout: float | None = TIMEOUT_S,
    **options: Any,
) -> Unary:
    multi: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path(method))
    return multi(request, timeout=timeout, **options)


def stream_in(
    channel: grpc.aio.Channel, method: str, requests: Iterable[bytes] | None = None, **options: Any
) -> Input:
    multi: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path(method))
    return multi(None if requests is None else iter(requests), timeout=TIMEOUT_S, **options)


def stream_out(channel: grpc.aio.Channel, method: str, request: bytes = b"") -> Output:
    multi: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path(method))
    return multi(request, timeout=TIMEOUT_S)


def duplex(
    channel: grpc.aio.Channel, method: str, requests: Iterable[bytes] | None = None, **options: Any
) -> Duplex:
    multi: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path(method))
    return multi(None if requests is None else iter(requests), timeout=TIMEOUT_S, **options)


async def response_of(call: Duplex | Output) -> bytes:
    response = await call.read()
    assert isinstance(response, bytes)
    return response


async def sizes(responses: AsyncIterable[bytes]) -> list[int]:
    return [len(response) async for response in responses]


async def failure(call: Unary) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


def pairs(metadata: Iterable[Any] | None) -> list[tuple[str, str | bytes]]:
    return [tuple(pair) for pair in metadata or ()]
