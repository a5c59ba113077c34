"""Which endpoint of a model takes the next attempt: the least loaded that is not ejected."""

from collections.abc import Iterable
from typing import NamedTuple

from server.routing.catalog import Model
from server.routing.health import Endpoint, HealthTracker


class Target(NamedTuple):
    """A model and the endpoint to ask."""

    model_index: int
    model: Model
    endpoint: str  # its address; empty for a model that has none

    @property
    def key(self) -> Endpoint:
        return self.model_index, self.endpoint


class EndpointLoad:
    """Attempts at each endpoint: in flight, and begun so far."""

    __slots__ = ("attempts", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self.attempts = 0


class Endpoints:
    """The load of every endpoint in the catalog."""

    def __init__(self, health: HealthTracker) -> None:
        self._health = health
        self.loads: dict[Endpoint, EndpointLoad] = {}

    def track(self, endpoints: Iterable[Endpoint]) -> None:
        """Counts exactly these; known ones keep their counts."""
        endpoints = tuple(endpoints)
        self.loads = {e: self.loads.get(e, EndpointLoad()) for e in endpoints}
        self._health.track(endpoints)

    def choose(self, index: int, model: Model) -> str:
        """The address to call; empty for a model that only Route speaks of and has none.

        If all are ejected, the least loaded of all: one has to be asked.
        """
        if len(model.endpoints) == 1:
            return model.endpoints[0]
        candidates = self._open(index, model) or model.endpoints
        return min(candidates, key=lambda address: self._load(index, address), default="")

    def choose_other(self, index: int, model: Model, last: str) -> str:
        """The address to call after that one; empty where every other is ejected."""
        others = [address for address in self._open(index, model) if address != last]
        return min(others, key=lambda address: self._load(index, address), default="")

    def _open(self, index: int, model: Model) -> list[str]:
        """Those that are not ejected."""
        return [one for one in model.endpoints if not self._health.is_ejected((index, one))]

    def _load(self, index: int, address: str) -> tuple[int, int]:
        load = self.loads[index, address]
        return load.in_flight, load.attempts  # of equals, the one asked less often so far
