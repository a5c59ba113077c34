"""Hands the newest configuration and plan to every worker that watches."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from server.control.protocol import PROTOCOL
from turnout.v1.control_pb2 import WatchPlanResponse


@dataclass(frozen=True, slots=True)
class _Snapshot:
    number: int
    config_json: bytes
    config_number: int  # that of the snapshot in which this configuration came
    plan: tuple[WatchPlanResponse, ...]  # the plan in parts, without what tells snapshots apart


class Publisher:
    """Keeps one snapshot, the newest: a slow watcher skips those it missed, and none queue up."""

    def __init__(self, epoch: int, config_json: bytes) -> None:
        """`epoch` is another for each start: milliseconds since 1970 then."""
        self._epoch = epoch
        self._news = asyncio.Event()
        self._newest = _Snapshot(1, config_json, 1, (WatchPlanResponse(),))

    def publish_config(self, config_json: bytes) -> None:
        """Makes a configuration the one in force, beside the plan in force."""
        number = self._newest.number + 1
        self._replace(_Snapshot(number, config_json, number, self._newest.plan))

    def publish_plan(self, parts: tuple[WatchPlanResponse, ...]) -> None:
        """Makes a plan the one in force; at least one part."""
        newest = self._newest
        self._replace(_Snapshot(newest.number + 1, newest.config_json, newest.config_number, parts))

    async def watch(self) -> AsyncIterator[WatchPlanResponse]:
        """The snapshot in force, then each that follows, in parts; never ends."""
        seen = 0
        while True:
            news, snapshot = self._news, self._newest
            if snapshot.number == seen:
                await news.wait()
                continue
            for part in self._parts(snapshot, with_config=snapshot.config_number > seen):
                yield part
            seen = snapshot.number

    def _replace(self, snapshot: _Snapshot) -> None:
        self._newest = snapshot
        self._news.set()
        self._news = asyncio.Event()

    def _parts(self, snapshot: _Snapshot, *, with_config: bool) -> Iterator[WatchPlanResponse]:
        last = len(snapshot.plan) - 1
        for index, plan in enumerate(snapshot.plan):
            part = WatchPlanResponse()
            part.CopyFrom(plan)
            part.protocol = PROTOCOL
            part.epoch, part.number = self._epoch, snapshot.number
            part.more = index < last
            if with_config and index == 0:
                part.config_json = snapshot.config_json
            yield part
