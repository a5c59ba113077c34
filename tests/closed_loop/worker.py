"""One life of a worker; only its listener is left out."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from server.app.follower import Follower
from server.app.pusher import Pusher
from server.control.client import ControlClient
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import TENSORS, Asked, EndpointError, Exchanges
from server.routing.catalog import Cell, Model, PayloadKind
from server.routing.counters import Counters
from server.routing.decision_id import Kind, Sealer
from server.routing.endpoints import Target
from server.routing.errors import ControlPlaneDown, RoutingError, UpstreamFailed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Pick, Selector
from server.routing.slices import Slices
from server.transport.channel.channel import Channel
from server.upstream.probes import Prober
from tests.closed_loop.control import KEY
from tests.closed_loop.scenario import ClassLaw
from tests.closed_loop.story import End, Request, Story
from tests.closed_loop.story import Pick as PickTold
from tests.closed_loop.upstream import REQUEST_NUMBER, Fleet, Upstream
from tests.closed_loop.wire import Wire
from turnout.v1 import control_pb2 as pb
from turnout.v1.routing_pb2 import Outcome, Usage

GRADE_AFTER_S = 0.5  # a caller needs some time to judge
_REPORT_TRIES = 20
CALL_S = 2.0  # what callers of Route allow a model
NOTHING = Asked(b"", TENSORS)


def name_of(place: int) -> str:
    """Of the worker at this place."""
    return f"w{place}"


class _ToldSelector(Selector):
    """Says what was picked of what, which no decision tells."""

    def __init__(self, tell: Callable[[Cell, int, int], None]) -> None:
        super().__init__()
        self._tell = tell

    def pick(self, cell: Cell, blocked: int) -> Pick | None:
        pick = super().pick(cell, blocked)
        if pick is not None:
            self._tell(cell, blocked, pick.model)
        return pick


class _ToldClient(ControlClient):
    """Says which pushes were answered."""

    def __init__(self, wire: Wire, name: str, told: Callable[[pb.PushStatsRequest], None]) -> None:
        super().__init__(cast(Channel, wire), name)  # it needs no more of a channel
        self._told = told

    async def push(self, request: pb.PushStatsRequest) -> None:
        await super().push(request)
        self._told(request)


class RunningWorker:
    """Everything that server.app.worker.serve puts together."""

    def __init__(self, place: int, story: Story, fleet: Fleet, clock: Callable[[], float]) -> None:
        name = name_of(place)
        self.boot = f"{name} of {clock()}"
        self._story = story
        self._clock = clock
        self._chance = random.Random(f"{story.scenario.seed} {self.boot}")
        self.wire = Wire()
        self.client = _ToldClient(self.wire, name, self._pushed)
        self.counters = Counters()
        sealer = Sealer(KEY, boot=self._chance.getrandbits(64))
        chance = self._chance.random
        self.router = Router(
            _ToldSelector(self._picked),
            sealer,
            self.counters,
            Slices(place, story.scenario.workers),
            chance=chance,
        )
        self._upstream = upstream = Upstream(fleet, self.boot, clock)
        self._dispatcher = Dispatcher(
            self.router,
            Exchanges({"oip": upstream.send}),
            self.counters,
            now_s=clock,
            chance=chance,
        )
        prober = Prober(self.router, upstream.is_ready, now_s=clock, chance=chance)
        pusher = Pusher(self.router, self.counters, None, upstream.limits_reached, now_s=clock)
        follower = Follower(self.router, upstream.track, pusher.follow, pusher.configured)
        self.ready = follower.ready
        self._tasks = [
            asyncio.create_task(follower.run(self.client)),
            asyncio.create_task(pusher.run(self.client)),
            asyncio.create_task(prober.run()),
        ]
        self._calls: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self._asked = -1  # the request whose decision is made
        self.is_dead = False

    def call(self, law: ClassLaw, tenant: str, tokens: int) -> None:
        """A caller asks."""
        number = len(self._story.requests)
        request = Request(number, self.boot, law.name, tenant, tokens, self._clock())
        self._story.requests.append(request)
        ask = self._ask_by_route if law.routes else self._ask
        self._begin(self._see_through(ask, request, law.patience_s))

    def kill(self) -> None:
        """Nothing that it has not pushed is ever heard of."""
        self.is_dead = True
        self._story.killed[self.boot] = self._clock()
        for task in (*self._tasks, *self._calls):
            task.cancel()

    def check(self) -> None:
        """Raises what ended it, if it ended by itself, and what it did not expect."""
        for task in self._tasks:
            if task.done():
                task.result()
        if self._faults:
            raise self._faults[0]

    def _begin(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._faults.append(error)

    async def _see_through(
        self,
        ask: Callable[[Request, float | None], Awaitable[None]],
        request: Request,
        patience_s: float | None,
    ) -> None:
        request.end = End.KILLED  # unless it comes to another
        try:
            async with asyncio.timeout(patience_s):
                await ask(request, patience_s)
        except TimeoutError:
            request.end = End.LEFT
        except UpstreamFailed as error:
            request.end, request.reason, request.message = End.FAILED, error.reason, str(error)
        except RoutingError as error:
            request.end, request.reason, request.message = End.REFUSED, error.reason, str(error)
        finally:
            request.ended_s = self._clock()

    async def _ask(self, request: Request, timeout_s: float | None) -> None:
        query, number = self._query(request), (REQUEST_NUMBER, str(request.number))
        answer = await self._dispatcher.infer(
            query, NOTHING, timeout_s=timeout_s, metadata=(number,)
        )
        self._answered(request, answer.target.model)
        if answer.decision.audit_probability:
            self._begin(self._report(Outcome(decision_id=answer.decision_id), request))

    async def _ask_by_route(self, request: Request, patience_s: float | None) -> None:
        """A caller that calls the model itself, then another, and tells of both if it stays."""
        now_s = self._clock()
        decision = self.router.decide(
            self._query(request), now_s=now_s, chance=self._chance.random()
        )
        outcome = Outcome(
            decision_id=self.router.seal(decision, Kind.ROUTE, decision.target.model, now_s=now_s)
        )
        for index in (decision.target.model_index, *decision.grounds.fallbacks[:1]):
            target = self.router.target(index)
            if await self._call_model(request, target, outcome):
                self._answered(request, target.model)
                break
        else:
            request.end = End.FAILED
        outcome.usage.CopyFrom(
            _usage(request, self._clock() - now_s, failed=request.end is End.FAILED)
        )
        self._begin(self._report(outcome, request))

    async def _call_model(self, request: Request, target: Target, outcome: Outcome) -> bool:
        """Whether it answered; the outcome tells of it."""
        begun_s = self._clock()
        number = (REQUEST_NUMBER, str(request.number))
        try:
            await self._upstream.send(target.endpoint, target.model, NOTHING, CALL_S, (number,))
            failed = False
        except EndpointError:
            failed = True
        usage = _usage(request, self._clock() - begun_s, failed=failed)
        outcome.attempts.add(model=target.model.name, endpoint=target.endpoint, usage=usage)
        return not failed

    def _query(self, request: Request) -> Query:
        query = Query(
            traffic_class=request.traffic_class,
            tenant=request.tenant,
            input_tokens=request.tokens,
            payload_kind=PayloadKind.TENSORS,
        )
        self._asked = request.number
        request.cell = self.router.read(query).reading.cell
        request.plan_id = self.router.table.plan_id
        return query

    def _answered(self, request: Request, model: Model) -> None:
        laws = {law.name: law for law in self._story.scenario.models}
        request.end, request.answered_by = End.ANSWERED, model.name
        request.is_right = self._chance.random() < laws[model.name].accuracy

    async def _report(self, outcome: Outcome, request: Request) -> None:
        """What a caller tells once it knows how good the answer was."""
        if request.is_right is not None:
            outcome.feedback.add(metric="quality", value=float(request.is_right))
        for _ in range(_REPORT_TRIES):
            await asyncio.sleep(GRADE_AFTER_S)
            try:
                await self.client.settle([outcome])
            except ControlPlaneDown:
                continue
            if outcome.HasField("usage"):
                request.reported_s = self._clock()
            return

    def _pushed(self, request: pb.PushStatsRequest) -> None:
        self._story.acknowledge(self.boot, request, self._clock())

    def _picked(self, cell: Cell, blocked: int, model: int) -> None:
        names = [one.name for one in self.router.models()]
        barred = frozenset(name for index, name in enumerate(names) if blocked >> index & 1)
        plan_id = self.router.table.plan_id
        told = PickTold(self._asked, self._clock(), self.boot, plan_id, cell, barred, names[model])
        self._story.picks.append(told)


def _usage(request: Request, latency_s: float, *, failed: bool) -> Usage:
    usage = Usage(input_tokens=request.tokens, failed=failed)
    usage.latency.FromNanoseconds(round(latency_s * 1e9))
    return usage
