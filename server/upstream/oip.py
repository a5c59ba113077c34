"""Endpoints that speak the Open Inference Protocol, version 2, over gRPC."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from ssl import SSLContext
from typing import TypeAlias

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from server.config.models import ModelTlsConfig
from server.dispatch.exchange import Asked, EndpointError, Metadata, Reply
from server.named_files.tls import client_tls_files
from server.routing.catalog import Model
from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed, NeverSent
from server.transport.held_bytes import HeldBytes
from server.transport.sockets.client_tls import ClientCertificates
from server.transport.sockets.tls import HTTP_2, TlsError
from server.upstream.oip_words import told_words
from server.wire import oip_pb2

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_READY_METHOD = "/inference.GRPCInferenceService/ModelReady"
_HEALTH_METHOD = "/grpc.health.v1.Health/Check"
_MODEL_NAME, _MODEL_VERSION = 0x0A, 0x12  # the tags of ModelInferRequest's fields 1 and 2

# As many models as are asked much at a time; their names are short.
_NAMES_REMEMBERED = 256
# What says yes or no takes a few bytes.
READY_BYTES_MAX = 1_024
# Calls that are out when an endpoint leaves the catalog may take this long.
CALLS_END_S = 60.0

# To an endpoint: its address, and how what is sent there is encrypted, if it is.
_Way: TypeAlias = str | tuple[str, ModelTlsConfig]


class OipUpstream:
    """One channel for each endpoint, and each way to encrypt what is sent to it.

    Requests and responses pass as bytes, or views of them.
    """

    def __init__(self, *, calls_end_s: float = CALLS_END_S, held: HeldBytes | None = None) -> None:
        """In `held` large answers are counted."""
        self._held = held
        self._calls_end_s = calls_end_s
        self._channels: dict[_Way, Channel] = {}
        self._closing: dict[asyncio.Task[None], Channel] = {}
        self._reached_before: Counter[str] = Counter()  # by channels that are closed

    def track(self, models: Iterable[Model]) -> None:
        """Opens channels for endpoints that are new, and closes the others once they are idle."""
        wanted = {_way(at, model): (at, model.tls) for model in models for at in model.endpoints}
        for way in wanted.keys() - self._channels.keys():
            address, tls = wanted[way]
            self._channels[way] = Channel(address, tls=_contexts(tls), held=self._held)
        for way in self._channels.keys() - wanted.keys():
            channel = self._channels.pop(way)
            closing = asyncio.create_task(channel.close(self._calls_end_s))
            self._closing[closing] = channel
            closing.add_done_callback(self._closed)

    async def open_exchange(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        """The endpoint's answer; raises EndpointError. Cancelling this cancels the call."""
        try:
            answer = await self._channels[_way(address, model)].unary(
                _METHOD, (asked.body, addressing(model)), timeout_s=timeout_s, metadata=metadata
            )
        except CallFailed as failure:
            if isinstance(failure, NeverSent):
                raise EndpointError(failure.code, str(failure), is_sent=False) from None
            words = told_words(failure.code, str(failure), asked.body)
            raise EndpointError(failure.code, words) from None
        return Reply(answer)

    async def is_ready(self, address: str, model: Model, timeout_s: float) -> bool:
        """Whether the endpoint says that it can answer for the model.

        It is asked by ModelReady and, where it does not have that, by grpc.health.v1; of one that
        has neither nothing is known. Each may take as long as the timeout.
        """
        channel = self._channels.get(_way(address, model))
        if channel is None:
            return False
        ask = oip_pb2.ModelReadyRequest(name=model.upstream_name, version=model.version)
        for method, request, is_ready in (
            (_READY_METHOD, ask.SerializeToString(), _is_model_ready),
            (_HEALTH_METHOD, b"", _is_serving),
        ):
            try:
                answer = await channel.unary(method, request, timeout_s=timeout_s)
                return len(answer) <= READY_BYTES_MAX and is_ready(bytes(answer))
            except CallFailed as failure:
                if failure.code is not Code.UNIMPLEMENTED:
                    return False
            except DecodeError:
                return False
        return False

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


def _way(address: str, model: Model) -> _Way:
    """What most have is quick to look up: to hash a section of the configuration takes 2 us."""
    return address if model.tls is None else (address, model.tls)


def _contexts(tls: ModelTlsConfig | None) -> Callable[[], SSLContext] | None:
    if tls is None:
        return None
    certificates = ClientCertificates(client_tls_files(tls), HTTP_2)

    def newest() -> SSLContext:
        try:
            return certificates.context()
        except TlsError as error:
            raise ConnectionError(f"the model's tls cannot be used: {error}") from None

    return newest


def _is_model_ready(answer: bytes) -> bool:
    return oip_pb2.ModelReadyResponse.FromString(answer).ready


def _is_serving(answer: bytes) -> bool:
    status = health_pb2.HealthCheckResponse.FromString(answer).status
    return status == health_pb2.HealthCheckResponse.SERVING


def addressing(model: Model) -> bytes:
    """What makes a request one to this model: of a field that occurs twice, the last one holds."""
    return _naming(model.upstream_name, model.version)


@lru_cache(_NAMES_REMEMBERED)
def _naming(name: str, version: str) -> bytes:
    return _string_field(_MODEL_NAME, name) + _string_field(_MODEL_VERSION, version)


def _string_field(tag: int, text: str) -> bytes:
    """A protobuf string field of less than 16 KiB, its length in one byte or two."""
    data = text.encode()
    low, high = len(data) & 0x7F, len(data) >> 7
    return bytes((tag, low | 0x80, high) if high else (tag, low)) + data
