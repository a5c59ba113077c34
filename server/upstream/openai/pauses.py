"""Endpoints that said when to come back are not asked before."""

from collections.abc import Set

# Of what an endpoint asks for: minutes may be meant for a whole account, of which we know little.
PAUSE_S_MAX = 60.0

Place = tuple[str, str]  # the model's name, the address


class Pauses:
    """Is told what was said and when; never reads a clock."""

    def __init__(self) -> None:
        self._until_s: dict[Place, float] = {}

    def begin(self, place: Place, seconds: float | None, now_s: float) -> None:
        """Notes for how long an endpoint asked to be left alone, if it did."""
        if seconds:
            self._until_s[place] = now_s + min(seconds, PAUSE_S_MAX)

    def left_s(self, place: Place, now_s: float) -> float:
        """How long it is still to be left alone."""
        if place not in self._until_s:
            return 0.0
        return max(self._until_s[place] - now_s, 0.0)

    def keep(self, places: Set[Place]) -> None:
        """Forgets all others: there are no more than endpoints."""
        self._until_s = {at: until for at, until in self._until_s.items() if at in places}
