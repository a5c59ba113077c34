"""Every protocol in which we ask endpoints, and what speaks it.

To add a protocol, add a module beside `oip.py` that has what `Upstreams` calls, and its line to the
table; which payloads it takes is said in `routing/catalog.py`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from server.dispatch.exchange import Exchanges
from server.routing.catalog import Model
from server.transport.held_bytes import HeldBytes
from server.upstream.oip import OipUpstream
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
        openai = OpenAiUpstream(environ, now_s=now_s, held=held)
        self._by_protocol: Mapping[str, OipUpstream | OpenAiUpstream] = {
            "oip": OipUpstream(held=held),
            "openai": openai,
        }
        self.exchanges = Exchanges(
            whole={p: upstream.open_exchange for p, upstream in self._by_protocol.items()},
            streamed={"openai": openai.open_stream},
            held=held,
        )

    def track(self, models: Iterable[Model]) -> None:
        """Opens the ways to these models' endpoints, and closes all others once they are idle."""
        everyone = tuple(models)
        for protocol, upstream in self._by_protocol.items():
            upstream.track(model for model in everyone if model.protocol == protocol)

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
