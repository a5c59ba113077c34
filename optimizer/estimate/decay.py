"""Evidence that fades: what was told counts half as much after each half-life."""

import math

# Above this many half-lives since the landmark the sums are brought back, long before a float ends.
_REBASE_HALF_LIVES = 100.0


class Decay:
    """Weights grow from a landmark on, so that sums need no touch as time goes by.

    This is forward decay (Cormode et al., 2009) with an exponential: a sum of weights that were
    taken by `weight` and is read at now_s counts `read(now_s)` times as much.
    """

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._landmark_s = 0.0

    def weight(self, told_s: float) -> float:
        """Of something told at told_s, to add to a sum."""
        return math.exp2((told_s - self._landmark_s) / self._half_life_s)

    def read(self, now_s: float) -> float:
        """What to multiply a sum by to have its value at now_s."""
        return math.exp2(-(now_s - self._landmark_s) / self._half_life_s)

    def rebase(self, now_s: float) -> float | None:
        """What every sum has to be multiplied by now, lest weights overflow; mostly None."""
        half_lives = (now_s - self._landmark_s) / self._half_life_s
        if half_lives < _REBASE_HALF_LIVES:
            return None
        factor = self.read(now_s)
        self._landmark_s = now_s
        return factor
