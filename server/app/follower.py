"""Puts in force what the control plane sends: configurations and plans."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing

from server.app.classifier_loader import ClassifierLoader
from server.control.client import ControlClient, Snapshot
from server.control.large_config import compile_config
from server.routing.catalog import Model
from server.routing.router import Router
from server.routing.selector import WeightTable

# Of a plan that was replaced, at one go: a tenth of a millisecond.
CELLS_LET_GO = 500


class Follower:
    """Of one worker, beside the calls that it serves."""

    def __init__(
        self,
        router: Router,
        track: Callable[[Iterable[Model]], Awaitable[None]],
        on_epoch: Callable[[int], object],
        on_configured: Callable[[int], object],
    ) -> None:
        """`track` opens the ways to models' endpoints.

        `on_epoch` is called with each snapshot's, which says what start of the control plane it is;
        `on_configured` with the number of one whose configuration is in force.
        """
        self.ready = asyncio.Event()  # a configuration is in force
        self._router = router
        self._track = track
        self._on_epoch = on_epoch
        self._on_configured = on_configured
        self._classifier = ClassifierLoader()

    async def run(self, control: ControlClient) -> None:
        """Puts every snapshot in force; never ends."""
        async with aclosing(control.snapshots()) as snapshots:
            async for snapshot in snapshots:
                await self._follow(snapshot)

    async def _follow(self, snapshot: Snapshot) -> None:
        self._on_epoch(snapshot.epoch)
        replaced = self._router.table
        await self._put_in_force(snapshot)
        if replaced is not self._router.table:
            await _let_go(replaced)
        if not self.ready.is_set():
            # What is loaded by now stays: the collector need not look at it, 25 ms each time.
            gc.freeze()
            self.ready.set()

    async def _put_in_force(self, snapshot: Snapshot) -> None:
        if snapshot.config is not None:
            learned = await self._classifier.load(snapshot.config)
            routes = await compile_config(snapshot.config, learned)
            await self._track(routes.catalog.models)
            self._router.put_in_force(routes)
            self._on_configured(snapshot.number)
        if snapshot.table is not None:
            self._router.publish(snapshot.table)


async def _let_go(table: WeightTable) -> None:
    """Takes apart a plan that nobody reads any more: to drop it whole would hold the loop."""
    for rows in (table.cells, table.shed):
        while rows:
            for _ in range(min(CELLS_LET_GO, len(rows))):
                rows.popitem()
            await asyncio.sleep(0)
