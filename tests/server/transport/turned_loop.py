"""A loop whose clock a test turns."""

import asyncio


class TurnedLoop(asyncio.SelectorEventLoop):
    """Its clock can be turned forward, and then all timers up to there are due."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s
