"""Every protocol in which we ask endpoints, and what speaks it.

To add a protocol, add a module beside `oip.py` that has what `Upstreams` calls, and its line to the
table; which payloads it takes is said in `routing/catalog.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from server.dispatch.exchange import Exchanges, OpenExchange, OpenStream
from server.routing.catalog import Model
from server.transport.held_bytes import HeldBytes
from server.upstream.oip import OipUpstream

if TYPE_CHECKING:
    from server.upstream.openai.upstream import OpenAiUpstream


class Upstreams:
    """Each is told of the models that speak its protocol, and of no other."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        now_s: Callable[[], float],
        held: HeldBytes | None = None,
    ) -> None:
        """Keys are looked up in `environ`; in `held` large answers are counted."""
        self._environ, self._now_s, self._held = environ, now_s, held
        oip = OipUpstream(held=held)
        self._by_protocol: dict[str, OipUpstream | OpenAiUpstream] = {"oip": oip}
        self._whole: dict[str, OpenExchange] = {"oip": oip.open_exchange}
        self._streamed: dict[str, OpenStream] = {}
        self.exchanges = Exchanges(self._whole, self._streamed, held)

    async def track(self, models: Iterable[Model]) -> None:
        """Opens the ways to these models' endpoints, and closes all others once they are idle.

        The first time that one speaks openai, what speaks it is loaded, beside the loop.
        """
        everyone = tuple(models)
        if any(model.protocol == "openai" and model.endpoints for model in everyone):
            await self._load_openai()
        for protocol, upstream in self._by_protocol.items():
            upstream.track(model for model in everyone if model.protocol == protocol)

    async def _load_openai(self) -> None:
        if "openai" in self._by_protocol:
            return
        upstream_class = await asyncio.to_thread(_openai_upstream)
        openai = upstream_class(self._environ, now_s=self._now_s, held=self._held)
        self._by_protocol["openai"] = openai
        self._whole["openai"] = openai.open_exchange
        self._streamed["openai"] = openai.open_stream

    async def is_ready(self, address: str, model: Model, timeout_s: float) -> bool:
        """Whether the endpoint says that it can answer for the model."""
        return await self._by_protocol[model.protocol].is_ready(address, model, timeout_s)

    def limits_reached(self) -> Counter[str]:
        """How often each limit towards endpoints was reached."""
        totals: Counter[str] = Counter()
        for upstream in self._by_protocol.values():
            totals.update(upstream.limits_reached())
        return totals

    async def close(self) -> None:
        """Ends all exchanges."""
        await asyncio.gather(*(upstream.close() for upstream in self._by_protocol.values()))


def _openai_upstream() -> type[OpenAiUpstream]:
    # aiohttp is 11 MB, and a tenth of a second: for workers that ask somebody with it.
    from server.upstream.openai.upstream import OpenAiUpstream

    return OpenAiUpstream
