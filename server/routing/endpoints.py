"""Which endpoint of a model takes the next request: the better of two that chance names.

Better is who has less in flight and was given less of late. Who joins or comes back is given
little at first, and its part within SLOW_START_S.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import exp, inf
from typing import NamedTuple

from server.routing.catalog import Model
from server.routing.health import EndpointKey, HealthTracker

# How fast it is forgotten what an endpoint was given. Nothing else is known of requests that Route
# gave away; as a rule they are in flight for seconds.
RECENT_S = 10.0
# What was given counts little beside what is in flight: it may be done already.
GIVEN_WEIGHT = 0.01
# An endpoint fills caches and compiles code in its first hundred requests. Envoy begins with a
# tenth as well.
SLOW_START_S = 10.0
RAMP_MIN = 0.1
# Of so many requests of a batch that are decided alike one choice is made: each makes another
# answer, which takes as long as to seal eight ids.
ALIKE_MIN, ALIKE_CHOICES_MAX = 8, 16


class Target(NamedTuple):
    """A model and the endpoint to ask."""

    model_index: int
    model: Model
    endpoint: str  # its address; empty for a model that has none

    @property
    def key(self) -> EndpointKey:
        return self.model_index, self.endpoint


class EndpointLoad:
    """How much one endpoint has to do."""

    __slots__ = ("_given", "_given_s", "attempts", "in_flight", "joined_s")

    def __init__(self, joined_s: float | None) -> None:
        """`joined_s` is None for an endpoint that joins when it is first looked at."""
        self.joined_s = joined_s
        self.in_flight = 0
        self.attempts = 0  # since the worker began
        self._given = 0.0  # as it was at `_given_s`
        self._given_s = 0.0

    def join(self, given: float, now_s: float) -> None:
        """Begins with as much given as others have, so that it is neither behind nor ahead."""
        self.joined_s, self._given, self._given_s = now_s, given, now_s

    def given(self, now_s: float) -> float:
        """How much it was given lately; what was given while it could take little counts more."""
        return self._given * exp(min(self._given_s - now_s, 0.0) / RECENT_S)

    def give(self, count: int, now_s: float) -> None:
        self._given = self.given(now_s) + count / self._ramp(now_s)
        self._given_s = now_s

    def busy(self, now_s: float) -> float:
        """How busy it is: of two endpoints the one with less is asked."""
        return self.in_flight / self._ramp(now_s) + GIVEN_WEIGHT * self.given(now_s)

    def _ramp(self, now_s: float) -> float:
        """Which part of a full share it may have by now."""
        here_s = inf if self.joined_s is None else now_s - self.joined_s
        return 1.0 if here_s >= SLOW_START_S else max(here_s / SLOW_START_S, RAMP_MIN)


class Endpoints:
    """The load of every endpoint in the catalog. `refresh` sets the time."""

    def __init__(self, health: HealthTracker, chance: Callable[[], float]) -> None:
        """`chance` is uniform in [0, 1)."""
        self._health = health
        self._chance = chance
        self._now_s = 0.0
        self.loads: dict[EndpointKey, EndpointLoad] = {}

    def track(self, endpoints: Iterable[EndpointKey]) -> None:
        """Counts for exactly these endpoints; known ones keep their counts.

        The first ones of all are no newcomers: there is nobody beside whom they would be spared.
        """
        joined_s = None if self.loads else -inf
        endpoints = tuple(endpoints)
        self.loads = {e: self.loads.get(e) or EndpointLoad(joined_s) for e in endpoints}
        self._health.track(endpoints)

    def refresh(self, now_s: float) -> None:
        """Sets the time, and lets back endpoints whose ejection is over."""
        self._now_s = now_s
        if now_s >= self._health.next_return_s:
            self._health.refresh(now_s)

    def choose(self, index: int, model: Model) -> str:
        """The address to call; empty for a model that only Route speaks of and has none.

        If all are ejected, one of all that do not rest: one has to be asked.
        """
        if len(model.endpoints) == 1:
            return model.endpoints[0]
        open_ones = self._open(index, model) or self._awake(index, model) or model.endpoints
        return self._better_of_two(index, model, open_ones) if open_ones else ""

    def choose_other(self, index: int, model: Model, last: str) -> str:
        """The address to call after that one; empty where every other is ejected."""
        others = [address for address in self._open(index, model) if address != last]
        return self._better_of_two(index, model, others) if others else ""

    def choose_many(self, index: int, model: Model, count: int) -> list[tuple[str, int]]:
        """Gives so many requests to endpoints; returns how many each was given."""
        if len(model.endpoints) == 1:
            return [(model.endpoints[0], count)]
        choices = min(-(-count // ALIKE_MIN), ALIKE_CHOICES_MAX)
        taken: Counter[str] = Counter()
        for number in range(choices):
            address = self.choose(index, model)
            part = count * (number + 1) // choices - count * number // choices
            self.give((index, address), part)
            taken[address] += part
        return list(taken.items())

    def give(self, endpoint: EndpointKey, count: int = 1) -> None:
        """Counts requests that an endpoint is given."""
        if (load := self.loads.get(endpoint)) is not None:
            load.give(count, self._now_s)

    def _open(self, index: int, model: Model) -> Sequence[str]:
        """Those that are neither ejected nor resting; one that is joins anew when it is back."""
        if not self._health.impaired >> index & 1:
            return model.endpoints
        open_ones = []
        for address in model.endpoints:
            if self._health.is_out((index, address)):
                self.loads[index, address].joined_s = None
            else:
                open_ones.append(address)
        return open_ones

    def _awake(self, index: int, model: Model) -> Sequence[str]:
        return [one for one in model.endpoints if not self._health.rests((index, one))]

    def _better_of_two(self, index: int, model: Model, addresses: Sequence[str]) -> str:
        others = len(addresses) - 1
        if not others:
            return addresses[0]
        first, second = divmod(int(self._chance() * (others + 1) * others), others)
        second += second >= first
        one, other = addresses[first], addresses[second]
        return one if self._busy(index, model, one) <= self._busy(index, model, other) else other

    def _busy(self, index: int, model: Model, address: str) -> float:
        load = self.loads[index, address]
        if load.joined_s is None:
            beside = [self.loads[index, other] for other in model.endpoints]
            given = [one.given(self._now_s) for one in beside if one.joined_s is not None]
            load.join(min(given, default=0.0), self._now_s)
        return load.busy(self._now_s)
