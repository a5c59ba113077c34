"""What the plan in force promised of each pick, and how far a worker was from it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from server.control.binding import SHARE_MIN
from server.routing.catalog import Cell
from server.routing.errors import Shed
from tests.closed_loop.story import Pick, Request, Story
from turnout.v1.admin_pb2 import Plan, PlanCell

# A worker owes no model of a class more than this many requests, and none of a cell: what the
# selector's own test holds it to, whatever is masked and planned (tests/server/routing/).
CLASS_CREDIT_MAX = 2.0
CELL_CREDIT_MAX = 5.0
# No cell owes more of what is shed than one request, and pays none before half of one is owed.
SHED_DEBT_MAX = 1.0
# What was refused for the moment pays in advance, up to this (server/routing/shedding.py).
ADVANCE_MAX = 100.0
# No tenant of a cell owes more, or has paid more in advance, while none is refused for the moment.
TENANT_DEBT_MAX = 4.0
# Until a worker that has lost the control plane asks it again, and has the plan.
PLAN_LATE_S = 1.25
_ROUNDING = 1e-6
SHED = Shed.reason

Shares = Mapping[str, float]  # by model, adding up to 1


class Promise:
    """One plan, as an operator reads it."""

    def __init__(self, plan: Plan) -> None:
        self._cells = {_cell(of_cell): of_cell for of_cell in plan.cells}
        self._short = [breach.name for breach in plan.breaches]

    def of(self, cell: Cell, blocked: frozenset[str]) -> Shares:
        """What the plan gives this cell while some models are blocked; empty: nothing."""
        of_cell = self._cells.get(cell)
        own = {} if of_cell is None else {s.model: s.share for s in of_cell.shares}
        return _open(own, blocked) or _open(self._classes.get(cell.traffic_class, {}), blocked)

    def shed(self, cell: Cell) -> float:
        """The part of this cell's requests that is refused."""
        of_cell = self._cells.get(cell)
        if of_cell is None:
            return self._kinds_shed.get((cell.traffic_class, cell.kind), 0.0)
        return of_cell.shed if of_cell.shed > SHARE_MIN else 0.0

    def names(self, traffic_class: str) -> bool:
        """Whether a breach says that this class is short of something."""
        return any(name.split(" (")[0] == traffic_class for name in self._short)

    @cached_property
    def _classes(self) -> Mapping[str, Shares]:
        """Of each class, the mean of its cells by demand."""
        means: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for cell, of_cell in self._cells.items():
            for share in of_cell.shares:
                means[cell.traffic_class][share.model] += self._weight(cell) * share.share
        return means

    @cached_property
    def _kinds_shed(self) -> Mapping[tuple[str, str], float]:
        """Of each class and kind, the mean of its cells by demand."""
        sums: dict[tuple[str, str], float] = defaultdict(float)
        parts: dict[tuple[str, str], float] = defaultdict(float)
        for cell, of_cell in self._cells.items():
            key = cell.traffic_class, cell.kind
            sums[key] += self._weight(cell) * of_cell.shed
            parts[key] += self._weight(cell)
        return {key: total / parts[key] for key, total in sums.items() if parts[key]}

    def _weight(self, cell: Cell) -> float:
        """The cell's part of its class's requests."""
        of_class = [c.requests_per_s for k, c in self._cells.items() if k[0] == cell[0]]
        asked = sum(of_class)
        return self._cells[cell].requests_per_s / asked if asked else 1 / len(of_class)


def _cell(of_cell: PlanCell) -> Cell:
    cell = of_cell.cell
    return Cell(*(getattr(cell, field.name) for field in cell.DESCRIPTOR.fields))


def _open(shares: Shares, blocked: frozenset[str]) -> Shares:
    kept = {m: share for m, share in shares.items() if m not in blocked and share > SHARE_MIN}
    total = sum(kept.values())
    return {model: share / total for model, share in kept.items()}


class Promises:
    """Those of all plans of a story."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._of = {plan_id: Promise(plan) for plan_id, plan in story.plans.items()}

    def of(self, plan_id: str) -> Promise:
        return self._of[plan_id]

    def credits(self) -> Iterator[tuple[Pick, float, float]]:
        """After each pick the most that its worker owes any model: of the class, of the cell."""
        of_class: dict[object, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        of_cell: dict[object, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for pick in self._story.picks:
            promised = self._of[pick.plan_id].of(pick.cell, pick.blocked)
            classes, cells = of_class[pick.boot, pick.cell[0]], of_cell[pick.boot, pick.cell]
            for owed in (classes, cells):
                for model, share in promised.items():
                    owed[model] += share
                owed[pick.model] -= 1.0
            yield pick, _most(classes.values()), _most(cells.values())

    def debts(self) -> Iterator[tuple[Request, float, float]]:
        """What each request's cell owes of what its plan sheds: before and after it has paid."""
        debts: dict[object, float] = defaultdict(float)
        for request in self._decided():
            part = self._of[request.plan_id].shed(request.cell)
            if 0.0 < part < 1.0 - _ROUNDING:
                key = request.boot, request.cell
                owed = debts[key] + part
                paid = float(request.reason == SHED)
                debts[key] = max(owed - paid, -ADVANCE_MAX)
                yield request, owed, debts[key]

    def tenants(self) -> Iterator[tuple[Request, float]]:
        """What each request's tenant owes of what is shed, in cells that nothing else refuses."""
        debts: dict[object, float] = defaultdict(float)
        unplanned = {
            (request.boot, request.cell)
            for request in self._decided()
            if request.reason == SHED and not refused_by_plan(request)
        }
        for request in self._decided():
            part = self._of[request.plan_id].shed(request.cell)
            cell = request.boot, request.cell
            if 0.0 < part < 1.0 - _ROUNDING and cell not in unplanned:
                debts[cell, request.tenant] += part - refused_by_plan(request)
                yield request, debts[cell, request.tenant]

    def undue_refusals(self) -> Iterator[Request]:
        """Refused by a plan that says nothing of it, or served by one that refuses them all."""
        for request in self._decided():
            promise = self._of[request.plan_id]
            part = promise.shed(request.cell)
            refused = request.reason == SHED
            if refused_by_plan(request) and not (part and promise.names(request.traffic_class)):
                yield request
            if part >= 1.0 - _ROUNDING and not refused:
                yield request

    def outdated(self) -> Iterator[Request]:
        """Decided by a plan that was replaced long before, though workers could have known."""
        number = {plan_id: n for n, (_, plan_id) in enumerate(self._story.published)}
        reached = [n for n, (at_s, _) in enumerate(self._story.published) if self._is_told(at_s)]
        newest = -1
        for request in self._decided():
            while reached and self._story.published[reached[0]][0] <= request.begun_s - PLAN_LATE_S:
                newest = reached.pop(0)
            if number[request.plan_id] < newest:
                yield request

    def _is_told(self, at_s: float) -> bool:
        """Whether the control plane lived long enough for all workers to have a plan."""
        ends = self._story.control_killed_s
        return not any(at_s <= end_s <= at_s + PLAN_LATE_S for end_s in ends)

    def _decided(self) -> Iterator[Request]:
        return (r for r in self._story.requests if r.plan_id)


def refused_by_plan(request: Request) -> bool:
    """Not because a model was full for the moment."""
    return request.reason == SHED and "for the moment" not in request.message


def _most(owed: Iterable[float]) -> float:
    return max(map(abs, owed))
