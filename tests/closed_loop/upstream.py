"""Endpoints that behave by a law, on the loop's clock."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable

from server.dispatch.exchange import Asked, EndpointError, Metadata, Reply
from server.routing.catalog import Model
from server.status_code import Code
from tests.closed_loop.scenario import Scenario
from tests.closed_loop.story import Attempt, End, Story

REQUEST_NUMBER = "x-request-number"
_HANGS_S = 3_600.0


class Fleet:
    """All endpoints of all models; every worker calls the same."""

    def __init__(self, scenario: Scenario, story: Story) -> None:
        self._story = story
        self._outages = scenario.outages
        self._laws = {law.name: law for law in scenario.models}
        # Each model draws from its own source, so that one that is added changes no other's fate.
        self._chance = {n: random.Random(f"{scenario.seed} {n}") for n in self._laws}

    def begin(self, model: str, boot: str, address: str, request: int, now_s: float) -> Attempt:
        """An attempt arrives."""
        tokens = self._story.requests[request].tokens
        attempt = Attempt(request, boot, self._laws[model], address, tokens, now_s)
        self._story.attempts.append(attempt)
        return attempt

    def fate(self, model: str) -> tuple[float, Code | None]:
        """How long the next attempt takes, and with what it fails."""
        law, chance = self._laws[model], self._chance[model]
        took_s = chance.choice(law.latency_s)
        end = chance.random()
        if self.is_out(model):
            return took_s, Code.UNAVAILABLE
        if end < law.hangs:
            return _HANGS_S, None
        return took_s, law.code if end < law.hangs + law.fails else None

    def is_out(self, model: str) -> bool:
        """Whether every attempt fails now."""
        now_s = asyncio.get_running_loop().time()
        return any(o.model == model and o.at_s <= now_s < o.at_s + o.for_s for o in self._outages)

    def end(self, attempt: Attempt, end: End, now_s: float) -> None:
        """An attempt is over."""
        attempt.end, attempt.ended_s = end, now_s


class Upstream:
    """One worker's way to the fleet: what it needs of server.upstream.upstreams.Upstreams."""

    def __init__(self, fleet: Fleet, boot: str, clock: Callable[[], float]) -> None:
        self._fleet = fleet
        self._boot = boot
        self._clock = clock

    async def track(self, models: Iterable[Model]) -> None:
        """Nothing has to be opened."""

    def limits_reached(self) -> Counter[str]:
        return Counter()

    async def is_ready(self, address: str, model: Model, timeout_s: float) -> bool:
        """A model that always fails says that it is ready all the same."""
        return not self._fleet.is_out(model.name)

    async def send(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        """As a channel does: the time that is given is kept here."""
        number = int(dict(metadata)[REQUEST_NUMBER])
        attempt = self._fleet.begin(model.name, self._boot, address, number, self._clock())
        took_s, code = self._fleet.fate(model.name)
        end = End.LEFT
        try:
            await asyncio.sleep(min(took_s, timeout_s))
            if took_s > timeout_s:
                code = Code.DEADLINE_EXCEEDED
            end = End.ANSWERED if code is None else End.FAILED
        finally:
            self._fleet.end(attempt, end, self._clock())
        if code is not None:
            raise EndpointError(code, "as the story has it")
        return Reply(b"")
