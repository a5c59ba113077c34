"""Endpoints that speak the Open Inference Protocol, version 2, over gRPC."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from server.dispatch import Bytes, EndpointError, Metadata
from server.routing.catalog import Model
from server.transport.answer import CallFailed
from server.transport.channel import Channel
from server.transport.held_bytes import HeldBytes

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_MODEL_NAME, _MODEL_VERSION = 0x0A, 0x12  # the tags of ModelInferRequest's fields 1 and 2

# Calls that are out when an endpoint leaves the catalog may take this long.
CALLS_END_S = 60.0


class OipUpstream:
    """One channel for each endpoint. Requests and responses pass as bytes, or views of them."""

    def __init__(self, *, calls_end_s: float = CALLS_END_S, held: HeldBytes | None = None) -> None:
        """In `held` large answers are counted."""
        self._held = held
        self._calls_end_s = calls_end_s
        self._channels: dict[str, Channel] = {}
        self._closing: dict[asyncio.Task[None], Channel] = {}
        self._reached_before: Counter[str] = Counter()  # by channels that are closed

    def track(self, addresses: Iterable[str]) -> None:
        """Opens channels for addresses that are new, and closes the others once they are idle."""
        wanted = set(addresses)
        for address in wanted - self._channels.keys():
            self._channels[address] = Channel(address, held=self._held)
        for address in self._channels.keys() - wanted:
            channel = self._channels.pop(address)
            closing = asyncio.create_task(channel.close(self._calls_end_s))
            self._closing[closing] = channel
            closing.add_done_callback(self._closed)

    async def send(
        self, address: str, model: Model, request: Bytes, timeout_s: float, metadata: Metadata
    ) -> Bytes:
        """The endpoint's answer; raises EndpointError. Cancelling this cancels the call."""
        try:
            return await self._channels[address].unary(
                _METHOD, (request, addressing(model)), timeout_s=timeout_s, metadata=metadata
            )
        except CallFailed as failure:
            raise EndpointError(failure.code, str(failure)) from None

    def limits_reached(self) -> Counter[str]:
        """How often each limit of a channel was reached, of all that there ever were."""
        totals = Counter(self._reached_before)
        for channel in self._all_channels():
            totals.update(channel.limits_reached)
        return totals

    async def close(self) -> None:
        """Ends all calls, and those of endpoints that left before."""
        await asyncio.gather(*(channel.close() for channel in self._all_channels()), *self._closing)

    def _all_channels(self) -> tuple[Channel, ...]:
        return (*self._channels.values(), *self._closing.values())

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._reached_before.update(self._closing.pop(closing).limits_reached)


def addressing(model: Model) -> bytes:
    """What makes a request one to this model: of a field that occurs twice, the last one holds."""
    return _string_field(_MODEL_NAME, model.upstream_name) + _string_field(
        _MODEL_VERSION, model.version
    )


def _string_field(tag: int, text: str) -> bytes:
    """A protobuf string field of less than 16 KiB, its length in one byte or two."""
    data = text.encode()
    low, high = len(data) & 0x7F, len(data) >> 7
    return bytes((tag, low | 0x80, high) if high else (tag, low)) + data
