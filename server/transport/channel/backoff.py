"""When an endpoint that could not be reached is tried again."""

from collections.abc import Callable

# An endpoint that comes back is found in about a second, not within grpc's two minutes: routing
# keeps calls away from it meanwhile, so what an attempt costs is one SYN.
FIRST_S = 0.1
LONGEST_S = 1.0  # before its jitter
GROWTH = 1.6
# Of each pause, the part that is left to chance, up or down: workers do not knock in step.
JITTER = 0.2


class Backoff:
    """Pauses between attempts, each longer than the last until one succeeds."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance` is uniform in [0, 1)."""
        self._chance = chance
        self._pause_s = FIRST_S
        self.until_s = float("-inf")  # no attempt before this

    def note_failure(self, now_s: float) -> None:
        self.until_s = now_s + self._pause_s * (1 + JITTER * (2 * self._chance() - 1))
        self._pause_s = min(self._pause_s * GROWTH, LONGEST_S)

    def note_success(self) -> None:
        self._pause_s = FIRST_S
        self.until_s = float("-inf")
