"""Asks endpoints that are ejected whether they can answer again, so that one comes back without
having to be tried on a caller.
"""

import asyncio
from collections.abc import Awaitable, Callable

from server.routing.catalog import Model
from server.routing.health import EndpointKey
from server.routing.router import Router

# An endpoint that is back is found within this and half of it again: about as long as the channel
# takes to find that it can be reached.
PROBE_EVERY_S = 1.0
# An endpoint that takes longer to say that it is ready is not.
PROBE_S_MAX = 1.0
# At one time: where hundreds are ejected they take turns.
PROBES_MAX = 16

# Whether the endpoint at this address says that it can answer for the model, within a time.
IsReady = Callable[[str, Model, float], Awaitable[bool]]


class Prober:
    """Of one worker. Only endpoints that Turnout itself calls are asked."""

    def __init__(
        self,
        router: Router,
        is_ready: IsReady,
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`chance` is uniform in [0, 1): workers do not ask in step."""
        self._router = router
        self._is_ready = is_ready
        self._now_s = now_s
        self._chance = chance
        self._turn = 0

    async def run(self) -> None:
        """Asks again and again; never ends."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S * (0.5 + self._chance()))
            await self.probe()

    async def probe(self) -> None:
        """Asks once; those whose time is over are back anyway, with or without traffic."""
        self._router.endpoints.refresh(self._now_s())
        async with asyncio.TaskGroup() as group:
            for endpoint, model in self._due():
                group.create_task(self._ask(endpoint, model))

    async def _ask(self, endpoint: EndpointKey, model: Model) -> None:
        if await self._is_ready(endpoint[1], model, PROBE_S_MAX):
            self._router.health.record_good_probe(endpoint)

    def _due(self) -> list[tuple[EndpointKey, Model]]:
        """The next so many of those that a probe may bring back."""
        models = self._router.models()
        ejected = [
            (endpoint, models[endpoint[0]])
            for endpoint in self._router.health.to_probe()
            if models[endpoint[0]].is_forwarded
        ]
        if not ejected:
            return []
        begin = self._turn % len(ejected)
        self._turn += PROBES_MAX
        return (ejected[begin:] + ejected[:begin])[:PROBES_MAX]
