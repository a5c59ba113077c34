"""A worker's real parts and what a control plane knows, on one virtual clock, without the wire."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from server.app.pusher import PUSH_S
from server.app.stats import Pushes, push_request
from server.config.schema import Config
from server.control.corridor import Corridor, Draft
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.control.window import Window
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import TENSORS, Asked, EndpointError, Exchanges, Metadata, Reply
from server.routing.catalog import Model, PayloadKind
from server.routing.counters import Counters
from server.routing.decision import Decision
from server.routing.decision_id import KEY_BYTES, Kind, Sealer
from server.routing.errors import UpstreamFailed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import CellKey, ModelShares, Selector, WeightTable
from server.status_code import Code
from turnout.v1.routing_pb2 import Outcome

# What the n-th attempt at a model takes, and how it ends.
Behaviour = Callable[[int], tuple[float, Code | None]]


class World:
    """Models that behave as told; the mix is whatever the test says."""

    def __init__(self, config: Config, behaviours: dict[str, Behaviour], now_s: float) -> None:
        self.now_s = now_s
        self.knowledge = Knowledge(config)
        self.corridor = Corridor(self.knowledge, Estimates(), epoch=0, begun_s=now_s)
        self._behaviours = behaviours
        self._asked: Counter[str] = Counter()
        self._counters = Counters()
        self._router = Router(
            Selector(), Sealer(bytes(KEY_BYTES), boot=1), self._counters, chance=lambda: 0.5
        )
        self._router.configure(config)
        self._dispatcher = Dispatcher(
            self._router,
            Exchanges({"oip": self._send}),
            self._counters,
            now_s=lambda: self.now_s,
            chance=lambda: 0.5,
        )
        self._pushes = Pushes("b0")
        self._pushed_s = now_s
        self._outcomes = Outcomes(bytes(KEY_BYTES), self._router.catalog.index.__contains__)
        self._sequence = 0

    def send_to(self, shares: ModelShares) -> None:
        """The mix of class chat from now on."""
        self._router.publish(WeightTable("p", {}, {"chat": shares}))

    async def infer(self, count: int, *, input_tokens: int = 0) -> int:
        """So many requests, one after another; what the answered ones cost."""
        cost = 0
        for _ in range(count):
            query = Query(payload_kind=PayloadKind.TENSORS, input_tokens=input_tokens)
            with suppress(UpstreamFailed):
                answer = await self._dispatcher.infer(query, Asked(b"", TENSORS), timeout_s=10)
                cost += answer.cost_nano_usd
            if self.now_s - self._pushed_s >= PUSH_S:
                self._push()
        return cost

    def route(self, query: Query) -> Decision:
        """One decision by Route, counted."""
        return self._router.decide(query, now_s=self.now_s, chance=0.5)

    def routed(self, query: Query) -> str:
        """The id of one more."""
        decision = self.route(query)
        return self._router.seal(decision, Kind.ROUTE, decision.target.model, now_s=self.now_s)

    def report(self, outcome: Outcome) -> str:
        """What became of a decision; the reason why it was refused, if it was."""
        settlement = self._outcomes.settle(outcome, now_s=self.now_s)
        self.knowledge.count_settlement(settlement, now_s=self.now_s)
        return settlement.result.reason

    def plan(self) -> None:
        """Pushes what was counted, and puts in force what a step makes of it."""
        draft = self._draft()
        cells = cast("dict[CellKey, ModelShares]", draft.shares.cells)  # a Cell is such a tuple
        self._router.publish(WeightTable("p", cells, draft.shares.classes))

    def window(self) -> Window:
        """Likewise, but says only what the step was about."""
        return self._draft().window

    def _draft(self) -> Draft:
        self._push()
        step = self.corridor.step(self.now_s)
        assert step.draft is not None, step.failure
        return step.draft

    def _push(self) -> None:
        self._pushed_s = self.now_s
        push = push_request(
            self._counters,
            self._router,
            self._counters.take_touched(),
            data_address="",
            now_s=self.now_s,
            **self._pushes.next(more=False),
        )
        self.knowledge.count_push(push, now_s=self.now_s)

    async def _send(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        took_s, code = self._behaviours[model.name](self._asked[model.name])
        self._asked[model.name] += 1
        self.now_s += took_s
        if code is not None:
            raise EndpointError(code, "no")
        return Reply(b"answer")
