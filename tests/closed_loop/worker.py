"""One life of a worker; only its listener is left out."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, cast

from server.app.worker import Worker
from server.control.client import ControlClient
from server.dispatch import Dispatcher
from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import Counters
from server.routing.errors import ControlPlaneDown, RoutingError, UpstreamFailed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Pick, Selector
from server.routing.tokens import Sealer
from server.transport.channel import Channel
from server.upstream.oip import OipUpstream
from tests.closed_loop.control import KEY
from tests.closed_loop.scenario import ClassLaw
from tests.closed_loop.story import End, Request, Story
from tests.closed_loop.story import Pick as PickTold
from tests.closed_loop.upstream import REQUEST_NUMBER, Fleet, Upstream
from tests.closed_loop.wire import Wire
from turnout.v1 import control_pb2 as pb
from turnout.v1.routing_pb2 import Feedback, Outcome

GRADE_AFTER_S = 0.5  # a caller needs some time to judge
_REPORT_TRIES = 20


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

    def __init__(self, name: str, story: Story, fleet: Fleet, clock: Callable[[], float]) -> None:
        self.boot = f"{name} of {clock()}"
        self._story = story
        self._clock = clock
        self._chance = random.Random(f"{story.scenario.seed} {self.boot}")
        self.wire = Wire()
        self.client = _ToldClient(self.wire, name, self._pushed)
        self.counters = Counters()
        sealer = Sealer(KEY, boot=self._chance.getrandbits(64))
        self.router = Router(_ToldSelector(self._picked), sealer, self.counters)
        upstream = Upstream(fleet, self.boot)
        self._dispatcher = Dispatcher(
            self.router, upstream.send, self.counters, now_s=clock, chance=self._chance.random
        )
        worker = Worker(self.router, self.counters, cast(OipUpstream, upstream), None, now_s=clock)
        self.ready = worker.ready
        self._tasks = [
            asyncio.create_task(worker.follow(self.client)),
            asyncio.create_task(worker.tell(self.client)),
        ]
        self._calls: set[asyncio.Task[None]] = set()
        self._asked = -1  # the request whose decision is made
        self.is_dead = False

    def call(self, law: ClassLaw, tenant: str, tokens: int) -> None:
        """A caller asks."""
        number = len(self._story.requests)
        request = Request(number, self.boot, law.name, tenant, tokens, self._clock())
        self._story.requests.append(request)
        self._begin(self._see_through(request, law.patience_s))

    def kill(self) -> None:
        """Nothing that it has not pushed is ever heard of."""
        self.is_dead = True
        self._story.killed[self.boot] = self._clock()
        for task in (*self._tasks, *self._calls):
            task.cancel()

    def check(self) -> None:
        """Raises what ended it, if it ended by itself."""
        for task in self._tasks:
            if task.done():
                task.result()

    def _begin(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _see_through(self, request: Request, patience_s: float | None) -> None:
        request.end = End.KILLED  # unless it comes to another
        try:
            async with asyncio.timeout(patience_s):
                await self._ask(request)
        except TimeoutError:
            request.end = End.LEFT
        except UpstreamFailed as error:
            request.end, request.reason, request.message = End.FAILED, error.reason, str(error)
        except RoutingError as error:
            request.end, request.reason, request.message = End.REFUSED, error.reason, str(error)
        finally:
            request.ended_s = self._clock()

    async def _ask(self, request: Request) -> None:
        query = Query(
            traffic_class=request.traffic_class,
            tenant=request.tenant,
            input_tokens=request.tokens,
            payload_kind=PayloadKind.TENSORS,
        )
        self._asked = request.number
        request.cell = self.router.read(query).reading.cell
        request.plan_id = self.router.table.plan_id
        answer = await self._dispatcher.infer(
            query, b"", timeout_s=None, metadata=((REQUEST_NUMBER, str(request.number)),)
        )
        request.end, request.answered_by = End.ANSWERED, answer.target.model.name
        laws = {law.name: law for law in self._story.scenario.models}
        request.is_right = self._chance.random() < laws[request.answered_by].accuracy
        if answer.decision.audit_probability:
            self._begin(self._grade(answer.decision_id, float(request.is_right)))

    async def _grade(self, decision_id: str, grade: float) -> None:
        feedback = Feedback(metric="quality", value=grade)
        for _ in range(_REPORT_TRIES):
            await asyncio.sleep(GRADE_AFTER_S)
            try:
                await self.client.settle([Outcome(decision_id=decision_id, feedback=[feedback])])
            except ControlPlaneDown:
                continue
            return

    def _pushed(self, request: pb.PushStatsRequest) -> None:
        self._story.acknowledge(self.boot, request)

    def _picked(self, cell: Cell, blocked: int, model: int) -> None:
        names = [one.name for one in self.router.models()]
        barred = frozenset(name for index, name in enumerate(names) if blocked >> index & 1)
        plan_id = self.router.table.plan_id
        told = PickTold(self._asked, self._clock(), self.boot, plan_id, cell, barred, names[model])
        self._story.picks.append(told)
