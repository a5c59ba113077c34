"""Puts in force the keys that the control plane sends: beside plans, so that they wait for none."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from server.control.client import ControlClient
from server.control.key_messages import keys_of
from server.routing.callers import Callers


class KeyFollower:
    """Of one worker."""

    def __init__(self, callers: Callers, on_followed: Callable[[int, int], None]) -> None:
        """`on_followed` is told the epoch and the number of the keys that are in force."""
        self._callers = callers
        self._on_followed = on_followed
        self._came = asyncio.Event()

    async def run(self, control: ControlClient) -> None:
        """Puts the keys of every change in force; never ends."""
        async with aclosing(control.key_sets()) as key_sets:
            async for told in key_sets:
                self._callers.put_in_force(keys_of(told), lost=told.lost)
                self._on_followed(told.epoch, told.number)
                self._came.set()

    async def before(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work once the first keys are in force: nobody is to be served without them."""
        await self._came.wait()
        await work()
