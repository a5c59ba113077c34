"""A service whose models are right as often as a test says, its router and its control plane."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from server.control.corridor import Corridor, Draft
from server.control.estimates import Estimates
from server.control.facts import Graded
from server.control.knowledge import Knowledge
from server.routing.decision import Decision
from server.routing.query import Query
from server.routing.selector import Basis, WeightTable
from tests.server.control.told import NOW_S, answered, push
from tests.server.routing.configs import config
from tests.server.routing.routed import routed

WINDOW_S = 5.0


class Trying:
    """Requests of one cell, five hundred a window; audited answers are graded at once."""

    def __init__(self, models: Any, right: Mapping[str, float], seed: int, **changes: Any) -> None:
        self.router, _ = routed(models, **changes)
        self.knowledge = Knowledge(config(*models, **changes))
        self.corridor = Corridor(self.knowledge, Estimates(), epoch=seed, begun_s=NOW_S)
        self.right, self.now_s = dict(right), NOW_S
        self.asked: Counter[str] = Counter()  # of the last window
        self.probes: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._told: Counter[str] = Counter()
        self._sequence = 0

    def run(self, windows: int, requests: int = 500) -> Draft:
        """The plan after so many windows."""
        for _ in range(windows):
            self._serve(requests)
            draft = self._plan()
        return draft

    def _serve(self, requests: int) -> None:
        self.asked, self.probes = Counter(), Counter()
        for _ in range(requests):
            chance = self._random.random()
            decision = self.router.decide(Query(), now_s=self.now_s, chance=chance)
            name = decision.target.model.name
            self.asked[name] += 1
            self.probes[name] += decision.grounds.pick.basis is Basis.PROBE
            if decision.audit_probability:
                self._grade(decision, name)
        self.now_s += WINDOW_S

    def _grade(self, decision: Decision, name: str) -> None:
        quality = float(self._random.random() < self.right[name])
        self.knowledge.facts.add_grade(
            Graded(
                decision.reading.cell,
                name,
                quality,
                1 / decision.audit_probability,
                decided_s=self.now_s,
                told_s=self.now_s,
            )
        )
        self.cell = decision.reading.cell

    def _plan(self) -> Draft:
        self._sequence += 1
        self._told.update(self.asked)
        cell = self.router.decide(Query(), now_s=self.now_s, chance=0.999).reading.cell
        told = [answered(cell, name, count) for name, count in self._told.items()]
        self.knowledge.count_push(push(*told, sequence=self._sequence), now_s=self.now_s)
        draft = self.corridor.step(self.now_s).draft
        assert draft is not None
        if draft.parts:
            cells, probes = cast("Any", draft.shares.cells), cast("Any", draft.shares.probes)
            self.router.publish(
                WeightTable(draft.plan.id, cells, draft.shares.classes, probes=probes)
            )
        return draft
