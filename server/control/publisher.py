"""Hands the newest configuration and plan to every worker that watches."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from server.control.protocol import PROTOCOL
from turnout.v1.control_pb2 import WatchPlanResponse


@dataclass(frozen=True, slots=True)
class _Snapshot:
    number: int
    config_json: bytes
    config_number: int  # that of the snapshot in which this configuration came
    plan: tuple[WatchPlanResponse, ...]  # the plan in parts, without what tells snapshots apart
    plan_s: float = 0.0  # when the window ended that the plan was last found for
    window_s: float = 0.0


class Publisher:
    """Keeps one snapshot, the newest: a slow watcher skips those it missed, and none queue up.

    A plan that was found again is only confirmed, in a few bytes.
    """

    def __init__(self, epoch: int, config_json: bytes) -> None:
        """`epoch` is another for each start: milliseconds since 1970 then."""
        self._epoch = epoch
        self._news = asyncio.Event()
        self._newest = _Snapshot(1, config_json, 1, (WatchPlanResponse(),))

    @property
    def config_number(self) -> int:
        """Of the snapshot that brings the configuration in force, or a later one."""
        return self._newest.config_number

    def publish_config(self, config_json: bytes) -> None:
        """Publishes a configuration beside the plan in force."""
        number = self._newest.number + 1
        self._replace(
            replace(self._newest, number=number, config_json=config_json, config_number=number)
        )

    def publish_plan(
        self, parts: tuple[WatchPlanResponse, ...], *, plan_s: float, window_s: float
    ) -> None:
        """Publishes a plan, which has at least one part."""
        number = self._newest.number + 1
        self._replace(
            replace(self._newest, number=number, plan=parts, plan_s=plan_s, window_s=window_s)
        )

    def confirm_plan(self, *, plan_s: float, window_s: float) -> None:
        """Confirms the plan in force for a later window."""
        self._replace(replace(self._newest, plan_s=plan_s, window_s=window_s))

    async def watch(self) -> AsyncIterator[WatchPlanResponse]:
        """The snapshot in force, then each that follows, in parts; never ends."""
        seen, confirmed_s = 0, 0.0
        while True:
            news, snapshot = self._news, self._newest
            if snapshot.number != seen:
                for part in self._parts(snapshot, with_config=snapshot.config_number > seen):
                    yield part
            elif snapshot.plan_s != confirmed_s:
                yield self._confirmation(snapshot)
            else:
                await news.wait()
                continue
            seen, confirmed_s = snapshot.number, snapshot.plan_s

    def _replace(self, snapshot: _Snapshot) -> None:
        self._newest = snapshot
        self._news.set()
        self._news = asyncio.Event()

    def _parts(self, snapshot: _Snapshot, *, with_config: bool) -> Iterator[WatchPlanResponse]:
        last = len(snapshot.plan) - 1
        for index, plan in enumerate(snapshot.plan):
            part = WatchPlanResponse()
            part.CopyFrom(plan)
            self._tell_apart(part, snapshot)
            part.more = index < last
            if with_config and index == 0:
                part.config_json = snapshot.config_json
            yield part

    def _confirmation(self, snapshot: _Snapshot) -> WatchPlanResponse:
        confirmation = WatchPlanResponse(plan_id=snapshot.plan[0].plan_id, confirms=True)
        self._tell_apart(confirmation, snapshot)
        return confirmation

    def _tell_apart(self, part: WatchPlanResponse, snapshot: _Snapshot) -> None:
        part.protocol = PROTOCOL
        part.epoch, part.number = self._epoch, snapshot.number
        part.plan_s, part.window_s = snapshot.plan_s, snapshot.window_s
