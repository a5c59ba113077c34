"""Tells callers who can be answered, whenever that changes."""

import asyncio
import contextlib
import math
from collections.abc import Callable

from server.routing.readiness import Readiness
from server.routing.router import Router


async def tell_readiness(
    router: Router, publish: Callable[[Readiness], None], now_s: Callable[[], float]
) -> None:
    """Publishes again on each ejection, return and configuration; never ends.

    An endpoint returns when its time is over, and without a request nobody else would notice.
    """
    changed = asyncio.Event()
    router.health.on_change = changed.set
    while True:
        changed.clear()
        publish(router.readiness(now_s()))
        left_s = router.health.next_return_s - now_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(left_s) else left_s):
                await changed.wait()
