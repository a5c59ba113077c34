"""Tells the control plane what a worker did, again and again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from server.app.plan_age import PlanAge
from server.app.stats import Pushes, push_request, tell_door, tell_transport
from server.control.client import ControlClient
from server.routing.callers import Caller
from server.routing.counters import Counters
from server.routing.errors import ControlPlaneDown
from server.routing.router import Router
from server.transport.serving.server import Server
from turnout.v1.control_pb2 import KeyUse, PushStatsRequest

if TYPE_CHECKING:
    from server.door.door import Door

# The control plane hears of an ejection, and the demo's screen of a request, within this.
PUSH_S = 0.25
# Of one push: about 5 ms of the loop, after an outage that touched them all.
PUSHED_CELLS_MAX = 200

_log = structlog.get_logger()


class Pusher:
    """Of one worker, beside the calls that it serves."""

    def __init__(
        self,
        router: Router,
        counters: Counters,
        transport: Server | None,
        limits_reached: Callable[[], Mapping[str, int]],
        *,
        now_s: Callable[[], float],
    ) -> None:
        """`transport` is None where grpcio serves; the limits are those towards endpoints."""
        self.data_address = ""  # known once it is bound
        self.door: Door | None = None  # of this worker, if it has one
        self._router = router
        self._counters = counters
        self._transport = transport
        self._limits_reached = limits_reached
        self._now_s = now_s
        self._plan_age = PlanAge()
        self._pushes = Pushes(secrets.token_hex(8))
        self._config_number = 0  # of the snapshot whose configuration is in force; 0: of no epoch
        self._keys = 0, 0  # in force: the epoch that numbers them, and the number
        self._used_s = 0.0  # uses of keys were told up to then

    def follow(self, epoch: int) -> None:
        """To another start of the control plane everything is pushed again."""
        if self._pushes.follow(epoch):
            self._counters.touch_all()
            self._config_number = 0
            self._used_s = 0.0

    def configured(self, number: int) -> None:
        """The configuration of this snapshot is in force from now on."""
        self._config_number = number

    def keys_in_force(self, epoch: int, number: int) -> None:
        """The keys of this number are in force from now on."""
        self._keys = epoch, number

    async def run(self, control: ControlClient) -> None:
        """Pushes counters again and again; never ends."""
        while True:
            await asyncio.sleep(PUSH_S)
            await self.push(control)

    async def push(self, control: ControlClient) -> None:
        """Pushes all that was touched; what is not answered goes with the next push."""
        more = True
        while more:
            more = await self._push_some(control)

    async def _push_some(self, control: ControlClient) -> bool:
        """Pushes once; true if it was answered and there is more."""
        touched = self._counters.take_touched(PUSHED_CELLS_MAX)
        more = len(touched) == PUSHED_CELLS_MAX
        request = push_request(
            self._counters,
            self._router,
            touched,
            data_address=self.data_address,
            now_s=self._now_s(),
            **self._pushes.next(more=more),
        )
        tell_transport(request, self._transport, self._limits_reached())
        if self.door is not None:
            tell_door(request, self.door)
        self._tell_plan(request, control)
        now_s = self._now_s()
        self._tell_keys(request)
        try:
            await control.push(request)
        except ControlPlaneDown:
            self._counters.touch_again(touched)
            return False
        except asyncio.CancelledError:
            self._counters.touch_again(touched)
            raise
        self._used_s = now_s
        return more

    def _tell_keys(self, request: PushStatsRequest) -> None:
        epoch, number = self._keys
        request.keys_number = number if epoch == request.epoch else 0
        used = self._router.callers.used(since_s=self._used_s)
        request.keys_used.extend(map(_key_use, used))

    def _tell_plan(self, request: PushStatsRequest, control: ControlClient) -> None:
        """The log says when nobody stands by the plan any more, whatever the reason."""
        now_s = self._now_s()
        changed = self._plan_age.look(control.confirmed, now_s=now_s)
        age_s, plan_id = self._plan_age.age_s(now_s=now_s), self._router.table.plan_id
        if changed == "late":
            _log.warning("plan not confirmed", plan_id=plan_id, age_s=round(age_s or 0.0, 1))
        elif changed == "confirmed":
            _log.info("plan confirmed again", plan_id=plan_id)
        request.plan_id = plan_id
        request.config_number = self._config_number
        if age_s is not None:
            request.plan_age_s = age_s


def _key_use(caller: Caller) -> KeyUse:
    usage = caller.usage
    return KeyUse(
        id=caller.key_id,
        used_s=caller.used_s or 0.0,
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_nano_usd=usage.cost_nano_usd,
    )
