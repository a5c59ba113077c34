"""Endpoints that behave by a law, on the loop's clock."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable

from server.dispatch import Bytes, EndpointError, Metadata
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
        self._in_flight: Counter[str] = Counter()

    def begin(self, model: str, boot: str, address: str, request: int, now_s: float) -> Attempt:
        """An attempt arrives."""
        tokens = self._story.requests[request].tokens
        attempt = Attempt(request, boot, self._laws[model], address, tokens, now_s)
        self._story.attempts.append(attempt)
        self._in_flight[model] += 1
        peak = self._story.peak
        peak[model] = max(peak.get(model, 0), self._in_flight[model])
        return attempt

    def fate(self, model: str, now_s: float) -> tuple[float, Code | None]:
        """How long the next attempt takes, and with what it fails."""
        law, chance = self._laws[model], self._chance[model]
        took_s = chance.choice(law.latency_s)
        end = chance.random()
        if any(o.model == model and o.at_s <= now_s < o.at_s + o.for_s for o in self._outages):
            return took_s, Code.UNAVAILABLE
        if end < law.hangs:
            return _HANGS_S, None
        return took_s, law.code if end < law.hangs + law.fails else None

    def end(self, attempt: Attempt, end: End, now_s: float) -> None:
        """An attempt is over."""
        attempt.end, attempt.ended_s = end, now_s
        self._in_flight[attempt.model.name] -= 1


class Upstream:
    """One worker's way to the fleet: what it needs of server.upstream.oip.OipUpstream."""

    def __init__(self, fleet: Fleet, boot: str) -> None:
        self._fleet = fleet
        self._boot = boot

    def track(self, addresses: Iterable[str]) -> None:
        """Nothing has to be opened."""

    def limits_reached(self) -> Counter[str]:
        return Counter()

    async def send(
        self, address: str, model: Model, request: Bytes, timeout_s: float, metadata: Metadata
    ) -> Bytes:
        """As a channel does: the time that is given is kept here."""
        loop, fleet = asyncio.get_running_loop(), self._fleet
        number = int(dict(metadata)[REQUEST_NUMBER])
        attempt = fleet.begin(model.name, self._boot, address, number, loop.time())
        took_s, code = fleet.fate(model.name, loop.time())
        end = End.LEFT
        try:
            await asyncio.sleep(min(took_s, timeout_s))
            if took_s > timeout_s:
                code = Code.DEADLINE_EXCEEDED
            end = End.ANSWERED if code is None else End.FAILED
        finally:
            fleet.end(attempt, end, loop.time())
        if code is not None:
            raise EndpointError(code, "as the story has it")
        return b""
