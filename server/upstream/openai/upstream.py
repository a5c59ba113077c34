"""Endpoints that speak OpenAI's HTTP: what is asked of them, and what comes back."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import aiohttp

from server.dispatch.exchange import (
    Asked,
    EndpointError,
    EventStream,
    Metadata,
    Operation,
    Reply,
)
from server.routing.catalog import Model
from server.status_code import Code
from server.transport.held_bytes import HeldBytes
from server.upstream.openai.access import Access
from server.upstream.openai.body import Outgoing, outgoing
from server.upstream.openai.client import OK, Client
from server.upstream.openai.refusals import Refused, refusal_error, refused
from server.upstream.openai.streaming import Reading
from server.upstream.openai.top_level import Malformed
from server.upstream.openai.usage import usage_in
from server.upstream.openai.walk import found_members

_PATHS: Mapping[Operation, str] = {
    Operation.CHAT: "/chat/completions",
    Operation.EMBEDDINGS: "/embeddings",
}
# The library takes 0 for no limit.
_LEAST_S = 0.001
_JSON, _EVENTS = "application/json", "text/event-stream"
# How servers say that they do not know what asks for the usage of a stream.
_USAGE_WORDS = ("stream_options", "include_usage")


class OpenAiUpstream:
    """Requests go on as bytes, but for what is ours to set; answers come back as they are."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        now_s: Callable[[], float],
        held: HeldBytes | None = None,
    ) -> None:
        """Keys are looked up in `environ`; in `held` large answers are counted."""
        self._environ = environ
        self._now_s = now_s
        self._held = held
        self._client: Client | None = None
        self._models: dict[str, tuple[Model, Access]] = {}
        self._no_usage: set[tuple[str, str]] = set()  # (model, address) that refuse to be asked it

    def track(self, models: Iterable[Model]) -> None:
        """From now on these models are asked; connections of others end when they are idle."""
        before, self._models = self._models, {}
        for model in models:
            kept = before.get(model.name)
            access = Access(model, self._environ, now_s=self._now_s)
            if kept is not None and kept[1].is_of(model):
                access = kept[1]
            self._models[model.name] = model, access
        places = {(name, at) for name, (model, _) in self._models.items() for at in model.endpoints}
        self._no_usage &= places

    async def open_exchange(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        """The endpoint's answer, whole; raises EndpointError. Cancelling this ends the exchange."""
        response = await self._asked(address, model, asked, timeout_s, metadata)
        _check_head(response, _JSON)
        body = await self._connected().whole(response)
        try:
            return Reply(body, usage_in(body, await found_members(body)))
        except Malformed as error:
            raise EndpointError(Code.INTERNAL, f"its answer cannot be used: {error}") from None

    async def open_stream(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        """The endpoint's answer in pieces, once its head is here; raises EndpointError."""
        response = await self._asked(address, model, asked, timeout_s, metadata)
        _check_head(response, _EVENTS)
        reading = Reading(response, asked, self._access_to(model).secrets())
        reading.stream = EventStream(reading.pieces())
        return reading.stream

    async def is_ready(self, address: str, model: Model, timeout_s: float) -> bool:
        """Whether the endpoint answers, and takes our key, when it is asked for its models."""
        try:
            access = self._access_to(model)
            headers, url = next(access.headers()), address.rstrip("/") + "/models"
            status = await self._connected().get_status(url, headers, access.tls(), timeout_s)
        except EndpointError:
            return False
        # Some serve no list; what does not know us would not answer either.
        return status in (OK, 404, 405)

    def limits_reached(self) -> Counter[str]:
        """How often each limit towards endpoints was reached."""
        return Counter()

    async def close(self) -> None:
        """Ends all exchanges."""
        if self._client is not None:
            await self._client.close()

    async def _asked(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> aiohttp.ClientResponse:
        """The head of an answer that is 200; raises EndpointError."""
        url, place = _url(address, asked.operation), (model.name, address)
        access = self._access_to(model)
        ends_s = self._now_s() + timeout_s
        options = access.headers()
        headers = next(options)
        while True:
            asks_usage = place not in self._no_usage
            body = await _body(asked, model, asks_usage=asks_usage)
            sent = headers | _heads(asked) | dict(metadata)
            left_s = max(ends_s - self._now_s(), _LEAST_S)
            response = await self._connected().post(url, body, sent, access.tls(), left_s)
            if response.status == OK:
                return response
            refusal = await refused(response)
            other = next(options, None) if refusal.code is Code.UNAUTHENTICATED else None
            if other is not None:
                headers = other
            elif asks_usage and _refuses_usage(refusal, asked):
                self._no_usage.add(place)
            else:
                raise refusal_error(refusal, bytes(asked.body), access.secrets())

    def _access_to(self, model: Model) -> Access:
        tracked = self._models.get(model.name)
        if tracked is None:
            raise EndpointError(Code.UNAVAILABLE, "it has left the configuration", is_sent=False)
        return tracked[1]

    def _connected(self) -> Client:
        """Made when it is first needed: that takes a running loop."""
        if self._client is None:
            self._client = Client(held=self._held)
        return self._client


def _url(address: str, operation: Operation) -> str:
    path = _PATHS.get(operation)
    if path is None:
        raise EndpointError(Code.UNIMPLEMENTED, "it takes no tensors", is_sent=False)
    return address.rstrip("/") + path


async def _body(asked: Asked, model: Model, *, asks_usage: bool) -> bytes:
    change = Outgoing(
        model.upstream_name,
        streams=asked.streams,
        asks_usage=asks_usage,
        output_tokens_max=asked.output_tokens_max if asked.operation is Operation.CHAT else None,
    )
    try:
        body = bytes(asked.body)
        return outgoing(body, change, await found_members(body))
    except Malformed as error:
        message = f"the request cannot be passed on: {error}"
        raise EndpointError(Code.INVALID_ARGUMENT, message, is_sent=False) from None


def _heads(asked: Asked) -> dict[str, str]:
    return {
        "Accept": _EVENTS if asked.streams else _JSON,
        "Accept-Encoding": "identity",
        "Content-Type": _JSON,
    }


def _refuses_usage(refusal: Refused, asked: Asked) -> bool:
    """Whether it does not know what we ask beside what the caller does."""
    is_ours = asked.streams and not asked.wants_usage
    return (
        is_ours
        and refusal.code is Code.INVALID_ARGUMENT
        and any(word in refusal.told.words for word in _USAGE_WORDS)
    )


def _check_head(response: aiohttp.ClientResponse, content_type: str) -> None:
    """Raises EndpointError where the answer is not of this type, or is packed."""
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding != "identity":
        response.close()
        raise EndpointError(Code.INTERNAL, "its answer is packed, though it was asked not to")
    if response.content_type != content_type:
        response.close()
        raise EndpointError(Code.INTERNAL, f"its answer is not {content_type}")
