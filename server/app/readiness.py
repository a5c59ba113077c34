"""Tells callers who can be answered, whenever that changes."""

import asyncio
import contextlib
import math
from collections.abc import Callable

from server.routing.readiness import Readiness
from server.routing.router import Router


async def announce(
    configured: asyncio.Event,
    router: Router,
    publish: Callable[[Readiness], None],
    on_ready: Callable[[], None],
    now_s: Callable[[], float],
) -> None:
    """Says that the worker serves once it can, and from then on whom; never ends."""
    await configured.wait()
    publish(router.readiness(now_s()))
    on_ready()
    await _publish_changes(router, publish, now_s)


async def _publish_changes(
    router: Router, publish: Callable[[Readiness], None], now_s: Callable[[], float]
) -> None:
    """Publishes again on each ejection, return and configuration.

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
