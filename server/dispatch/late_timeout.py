"""A timeout that is put off by taking note of the time: no timer is set anew for it."""

import asyncio
from collections.abc import Callable
from types import TracebackType

# Clocks differ in their last digits: asked a little early, it is asked again.
_AGAIN_S = 0.001


class LateTimeout:
    """Bounds what is done in it until `due_s`, by `now_s`; raises TimeoutError then.

    `due_s` is given the time, and may say a later one each time that it is asked.
    """

    def __init__(self, due_s: Callable[[float], float], now_s: Callable[[], float]) -> None:
        self._due_s = due_s
        self._now_s = now_s
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def expired(self) -> bool:
        """Whether it was this that ended what was done, and nothing in it."""
        return self._timeout.expired()

    def end(self) -> None:
        """Ends it now."""
        self._timeout.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> "LateTimeout":
        await self._timeout.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def _look(self) -> None:
        now_s = self._now_s()
        left_s = self._due_s(now_s) - now_s
        if left_s <= 0.0:
            self.end()
        else:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(left_s, _AGAIN_S), self._look)
