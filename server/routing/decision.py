"""One decided request: the model that answers it, what that rests on, and what follows from it."""

from dataclasses import dataclass
from operator import itemgetter

from server.routing.admission import Admission
from server.routing.asked import Asked
from server.routing.catalog import Catalog, Cell, TrafficClass
from server.routing.endpoints import Target
from server.routing.reading.classifier import Reading
from server.routing.routes import Routes
from server.routing.selector import Basis, Pick, Selector

# How many fallbacks Route names: as many as a caller would try within one deadline.
FALLBACKS_MAX = 3
# How many grounds are kept for decisions that share them, a KB each; others are made anew.
GROUNDS_MAX = 2_000


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Grounds:
    """What a decision rests on, and what follows; decisions by one pick share one object."""

    plan_id: str
    cell: Cell
    rule: str
    traffic_class: TrafficClass
    pick: Pick
    fallbacks: tuple[int, ...]  # models, in the order to try them
    reason: str  # but for what was read
    reuse_for_s: float  # how long requests of the same cell may use such a decision


@dataclass(slots=True)
class Decision:
    """One routed request."""

    grounds: Grounds
    reading: Reading
    target: Target
    audit_probability: float  # 0: not in the audit sample
    text: str  # of the request
    unfit: int  # bit m: model m may not serve it
    owner: bytes = b""  # the tag of the caller's tenant, who alone may report on it

    @property
    def reason(self) -> str:
        """One sentence: what was read, and why it makes this model."""
        return self.reading.why + self.grounds.reason


class Decisions:
    """Makes decisions of picks."""

    def __init__(self, selector: Selector, admission: Admission) -> None:
        self._selector = selector
        self._admission = admission
        # By cell, what is blocked, model and rule: with the plan in force, they make a pick.
        self._grounds: dict[tuple[Cell, int, int, str], Grounds] = {}

    def forget(self) -> None:
        """Forgets grounds, for another plan or configuration is in force."""
        self._grounds = {}

    def make(
        self, asked: Asked, pick: Pick, blocked: int, target: Target, routes: Routes
    ) -> Decision:
        """A decision on the grounds that all decisions of the same pick and rule share.

        A probe has grounds of its own, for it is graded as no other is.
        """
        if pick.basis is Basis.PROBE:
            own = self._grounds_of(asked.reading, pick, blocked, routes)
            return Decision(own, asked.reading, target, 1.0, asked.text, asked.unfit, asked.owner)
        reading = asked.reading
        key = (reading.cell, blocked, pick.model, reading.rule)
        grounds = self._grounds.get(key)
        if grounds is None:
            grounds = self._grounds_of(reading, pick, blocked, routes)
            # Priced by its own tokens, a greedy pick is made for one request.
            if pick.basis is not Basis.GREEDY and len(self._grounds) < GROUNDS_MAX:
                self._grounds[key] = grounds
        return Decision(grounds, reading, target, 0.0, asked.text, asked.unfit, asked.owner)

    def _grounds_of(self, reading: Reading, pick: Pick, blocked: int, routes: Routes) -> Grounds:
        config, catalog, _ = routes
        traffic_class = catalog.classes[reading.cell.traffic_class]
        plan_id = self._selector.table.plan_id
        # Others of the cell may ask for what only some models have: the mask is not the cell's.
        # And whoever names an endpoint again and again spreads nothing over others.
        alone = pick.basis is Basis.PLAN and len(pick.shares) == 1
        alone = alone and len(catalog.models[pick.model].endpoints) <= 1
        alone = alone and not self._admission.sheds(reading.cell)
        return Grounds(
            plan_id=plan_id,
            cell=reading.cell,
            rule=reading.rule,
            traffic_class=traffic_class,
            pick=pick,
            fallbacks=_fallbacks(pick, traffic_class, blocked),
            reason=_reason(reading.cell, pick, plan_id, catalog),
            reuse_for_s=config.window_s if alone else 0.0,
        )


def _fallbacks(pick: Pick, traffic_class: TrafficClass, blocked: int) -> tuple[int, ...]:
    """The plan's other models by share, then the class's others in greedy order."""
    seen = blocked | 1 << pick.model
    shares = pick.shares
    by_share = sorted(shares, key=itemgetter(1), reverse=True) if len(shares) > 1 else shares
    fallbacks: list[int] = []
    for index in (*[model for model, _, _ in by_share], *traffic_class.greedy):
        if not seen >> index & 1:
            seen |= 1 << index
            fallbacks.append(index)
            if len(fallbacks) == FALLBACKS_MAX:
                break
    return tuple(fallbacks)


def _reason(cell: Cell, pick: Pick, plan_id: str, catalog: Catalog) -> str:
    name = catalog.models[pick.model].name
    traffic_class = cell.traffic_class
    if pick.basis is Basis.GREEDY:
        why = f"plan {plan_id} has no open model" if plan_id else "there is no plan yet"
        return f"{why} for class {traffic_class}: {name} is the first that is fit"
    if pick.basis is Basis.PROBE:
        return f"plan {plan_id} has audits of this cell try others: {name} in {pick.share:.0%}"
    of_cell = pick.basis is Basis.PLAN
    whose = "this cell" if of_cell else "the class, for it has no open model in this cell"
    share = f"plan {plan_id} gives {name} {pick.share:.0%} of {whose}"
    if pick.owed:
        return f"{share}, and {name} is owed most"
    return share if len(pick.shares) == 1 else f"{share}, and no other model of it is open"
