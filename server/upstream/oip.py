"""Endpoints that speak the Open Inference Protocol, version 2, over gRPC."""

import asyncio
from collections.abc import Iterable, Sequence

import grpc

from server.dispatch import EndpointError, Metadata
from server.routing.attempts import Code
from server.routing.catalog import Model

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_MODEL_NAME, _MODEL_VERSION = 0x0A, 0x12  # the tags of ModelInferRequest's fields 1 and 2

# Calls that are out when an endpoint leaves the catalog may take this long.
CALLS_END_S = 60.0

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 65 * 2**20),
    # Equal channels would share one connection, and with it its fate.
    ("grpc.use_local_subchannel_pool", 1),
    # An endpoint that comes back is found within a second, not within grpc's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # How long a connection may take to come about: three round trips of half the world.
    ("grpc.min_reconnect_backoff_ms", 1_000),
)


class OipUpstream:
    """One channel for each endpoint. Requests and responses pass as bytes."""

    def __init__(self, *, calls_end_s: float = CALLS_END_S) -> None:
        self._calls_end_s = calls_end_s
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._closing: set[asyncio.Future[None]] = set()
        self._calls: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    def track(self, addresses: Iterable[str]) -> None:
        """Opens channels for addresses that are new, and closes the others once they are idle."""
        wanted = set(addresses)
        for address in wanted - self._channels.keys():
            channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
            self._channels[address] = channel
            self._calls[address] = channel.unary_unary(_METHOD)
        for address in self._channels.keys() - wanted:
            del self._calls[address]
            closing = asyncio.ensure_future(self._channels.pop(address).close(self._calls_end_s))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def send(
        self, address: str, model: Model, request: bytes, timeout_s: float, metadata: Metadata
    ) -> bytes:
        """The endpoint's answer; raises EndpointError. Cancelling this cancels the call."""
        try:
            return await self._calls[address](
                addressed(request, model), timeout=timeout_s, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            raise EndpointError(_code(error), error.details() or "") from None
        except asyncio.CancelledError:
            if _is_cancelled_itself():
                raise
            raise EndpointError(Code.CANCELLED, "the endpoint left before it answered") from None

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close(None)
        await asyncio.gather(*self._closing)


def addressed(request: bytes, model: Model) -> bytes:
    """The request to this model: of a field that occurs twice, the last one holds."""
    return b"".join(
        (
            request,
            _string_field(_MODEL_NAME, model.upstream_name),
            _string_field(_MODEL_VERSION, model.version),
        )
    )


def _string_field(tag: int, text: str) -> bytes:
    """A protobuf string field of less than 16 KiB, its length in one byte or two."""
    data = text.encode()
    low, high = len(data) & 0x7F, len(data) >> 7
    return bytes((tag, low | 0x80, high) if high else (tag, low)) + data


def _is_cancelled_itself() -> bool:
    """The task that awaits a call is cancelled, not only the call."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _code(error: grpc.aio.AioRpcError) -> Code:
    number: int = error.code().value[0]
    return Code(number)
