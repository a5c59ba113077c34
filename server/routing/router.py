"""Decides which model answers a request: read, find who may, pick, say why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from server.config.models import HealthConfig
from server.config.schema import Config
from server.routing.admission import Admission
from server.routing.asked import Asked, hold_size, no_candidate
from server.routing.catalog import (
    Catalog,
    Cell,
    Model,
    TrafficClass,
    bits,
    compile_catalog,
    nominal_cost_nano_usd,
)
from server.routing.counters import Counters
from server.routing.decision_id import Kind, Sealer
from server.routing.endpoints import Endpoints, Target
from server.routing.errors import NotReady
from server.routing.health import HealthTracker
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.query import Query
from server.routing.readiness import Readiness, readiness
from server.routing.reading.classifier import Classifier, Reading
from server.routing.recent_texts import RecentTexts
from server.routing.reported import Reported, Told, observe
from server.routing.selector import Basis, Pick, Selector, WeightTable
from server.routing.slices import Slices

# Named to a caller of Route: as many as a caller would try within one deadline.
FALLBACKS_MAX = 3
# Kept for decisions that have the same, a KB each; those of any further pick are made anew.
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

    @property
    def reason(self) -> str:
        """One sentence: what was read, and why it makes this model."""
        return self.reading.why + self.grounds.reason


class _Routes(NamedTuple):
    """What one configuration compiles to."""

    catalog: Catalog
    classifier: Classifier
    window_s: float


class Router:
    """Everything a worker decides with. No I/O, no clock, no dice."""

    def __init__(
        self,
        selector: Selector,
        sealer: Sealer,
        counters: Counters,
        slices: Slices | None = None,
        *,
        chance: Callable[[], float],
    ) -> None:
        """`slices` are the whole capacities, unless other workers have their parts.

        `chance` is uniform in [0, 1): it spreads requests over endpoints.
        """
        self._selector = selector
        self.slices = slices or Slices()
        self.admission = Admission(counters, self.slices)
        self._sealer = sealer
        self._counters = counters
        self._routes: _Routes | None = None
        # By cell, what is blocked, model and rule: with the plan in force, they make a pick.
        self._grounds: dict[tuple[Cell, int, int, str], Grounds] = {}
        self.health = HealthTracker(HealthConfig())
        self.endpoints = Endpoints(self.health, chance)
        self.recent_texts = RecentTexts()

    @property
    def catalog(self) -> Catalog:
        """The catalog in force; raises NotReady before there is one."""
        return self._ready().catalog

    def configure(self, config: Config, learned: LearnedClassifier | None = None) -> None:
        """Puts a configuration in force. Calls that are out end by the old one."""
        catalog = compile_catalog(config)
        self.health.tune(config.health)
        self.endpoints.track(
            (index, address)
            for index, model in enumerate(catalog.models)
            for address in model.endpoints
        )
        self.admission.configure(config)
        self.recent_texts.on = config.classifier is not None and config.classifier.keep_requests > 0
        self._routes = _Routes(catalog, Classifier(config, catalog, learned), config.window_s)
        self._grounds = {}

    @property
    def table(self) -> WeightTable:
        """The plan in force."""
        return self._selector.table

    def publish(self, table: WeightTable) -> None:
        """Puts a plan in force."""
        self._selector.publish(table)
        self.admission.publish(table)
        self._grounds = {}

    def read(self, query: Query, *, forwarded: bool = False) -> Asked:
        """Reads a request, which Infer forwards or its caller does; raises RoutingError."""
        catalog, classifier, _ = self._ready()
        reading = classifier.read(query)
        if query.size_bytes:
            hold_size(query.size_bytes, catalog.classes[reading.cell.traffic_class])
        unfit = catalog.unfit[query.payload_kind]
        if query.capabilities:
            unfit |= catalog.lacking(query.capabilities)
        if forwarded:
            unfit |= catalog.not_forwarded
        demanding = bool(query.capabilities)
        return Asked(reading, unfit, demanding, query.text, query.tenant, forwarded)

    @property
    def asks_metadata(self) -> bool:
        """Whether a rule looks at what a call's metadata say."""
        return self._routes is not None and self._routes.classifier.asks_metadata

    @property
    def token_range(self) -> Callable[[int], int]:
        """Finds the range of tokens that a request is read by: within one, `read` says the same.

        Of the configuration in force; raises NotReady before there is one.
        """
        return self._ready().classifier.token_range

    def dry_run(self, query: Query, *, now_s: float) -> Decision:
        """The decision that would be made; counts nothing and spends no credit."""
        asked = self.read(query)
        if self.admission.sheds_some:
            self.admission.hold_shed(asked, spend=False)
        return self._decide(asked, now_s, spend=False)

    def decide(
        self, query: Query, *, now_s: float, chance: float, forwarded: bool = False
    ) -> Decision:
        """Decides and counts. `chance`, uniform in [0, 1), says whether it is audited."""
        asked = self.read(query, forwarded=forwarded)
        if self.admission.sheds_some:
            self.admission.hold_shed(asked, spend=True)
        if forwarded and self.slices.nearly_full:
            self.endpoints.refresh(now_s)
            asked = self.admission.within_slices(asked, self.health.down)
        return self.decide_read(asked, now_s=now_s, chance=chance)

    def decide_read(self, asked: Asked, *, now_s: float, chance: float) -> Decision:
        """Decides and counts what was read under the configuration in force, and not refused."""
        decision = self._decide(asked, now_s, spend=True)
        rate = decision.grounds.traffic_class.audit_rate
        decision.audit_probability = rate if chance < rate else 0.0
        self._count(decision, 1, forwarded=asked.forwarded)
        if len(decision.target.model.endpoints) > 1:
            self.endpoints.give(decision.target.key)
        return decision

    def is_planned(self, asked: Asked) -> bool:
        """Whether `decide_alike` finds a model for such requests, as far as can be told now."""
        for blocked in (asked.unfit | self.health.down, asked.unfit):
            if self._selector.is_open(asked.reading.cell, blocked):
                return True
            if self._greedy(asked, blocked):
                return False
        return False

    def decide_alike(self, asked: Asked, count: int, *, now_s: float) -> list[tuple[Decision, int]]:
        """Decides and counts so many requests of one cell by the plan: who answers how many.

        Empty where the plan has no open model for them. None of them is audited.
        """
        self.endpoints.refresh(now_s)
        picks, blocked = self._pick_many(asked, count)
        decided = []
        for pick, taken in picks:
            model = self.catalog.models[pick.model]
            for address, part in self.endpoints.choose_many(pick.model, model, taken):
                target = Target(pick.model, model, address)
                decision = self._decision(asked, pick, blocked, target)
                self._count(decision, part, forwarded=False)
                decided.append((decision, part))
        return decided

    def _count(self, decision: Decision, taken: int, *, forwarded: bool) -> None:
        """What Infer forwards it tells of itself; of the rest usage is to come."""
        first = decision.target.model.name
        counts = self._counters.of(decision.reading.cell, first, first)
        counts.decided += taken
        if not forwarded:
            counts.unreported += taken
            counts.unreported_nano_usd += taken * decision.grounds.pick.cost_nano_usd

    def observe(self, decision_id: str, reported: Reported, *, now_s: float) -> None:
        """Tells health of endpoints that a caller asked by a decision, if only of its own model.

        Raises RoutingError for an id that tells nothing here, and before there is a configuration.
        """
        catalog, decision = self.catalog, self._sealer.open(decision_id, now_s=now_s)
        if not reported.asked:
            reported = reported._replace(asked=[Told(decision.model, "", None)])
        loads, decided_s = self.endpoints.loads, decision.issued_s
        observe(reported, catalog, loads, self.health, decided_s=decided_s, now_s=now_s)

    def seal(self, decision: Decision, kind: Kind, model: Model, *, now_s: float) -> str:
        """A new decision id; `model` is the one that answers, which a grade will speak of."""
        cell = decision.reading.cell
        decision_id = self._sealer.seal(
            kind,
            cell,
            (model.name, model.version),
            audit_probability=decision.audit_probability,
            expected_cost_nano_usd=decision.grounds.pick.cost_nano_usd,
            now_s=now_s,
        )
        self.recent_texts.add(decision_id, decision.text, cell.domain, decision.reading.intent)
        return decision_id

    def sealing(self, decision: Decision, kind: Kind, *, now_s: float) -> Callable[[], str]:
        """Makes ids of the decision, each a new one, for its own model; keeps no text."""
        model = decision.target.model
        return self._sealer.sealing(
            kind,
            decision.reading.cell,
            (model.name, model.version),
            audit_probability=decision.audit_probability,
            expected_cost_nano_usd=decision.grounds.pick.cost_nano_usd,
            now_s=now_s,
        )

    def readiness(self, now_s: float) -> Readiness:
        """Who can be answered now; raises NotReady before there is a configuration."""
        self.health.refresh(now_s)
        return readiness(self.catalog, self.health.down)

    def models(self) -> tuple[Model, ...]:
        """Those of the configuration in force; none before there is one."""
        return () if self._routes is None else self._routes.catalog.models

    def _ready(self) -> _Routes:
        if self._routes is None:
            raise NotReady("no configuration has come from the control plane yet: try again")
        return self._routes

    def _decide(self, asked: Asked, now_s: float, *, spend: bool) -> Decision:
        self.endpoints.refresh(now_s)
        picked = self._pick(asked, spend=spend)
        if picked is None:
            raise no_candidate(asked)
        pick, blocked = picked
        return self._decision(asked, pick, blocked, self.target(pick.model))

    def _decision(self, asked: Asked, pick: Pick, blocked: int, target: Target) -> Decision:
        reading = asked.reading
        key = (reading.cell, blocked, pick.model, reading.rule)
        grounds = self._grounds.get(key)
        if grounds is None:
            grounds = self._grounds_of(reading, pick, blocked)
            # Priced by its own tokens, a greedy pick is made for one request.
            if pick.basis is not Basis.GREEDY and len(self._grounds) < GROUNDS_MAX:
                self._grounds[key] = grounds
        return Decision(grounds, reading, target, 0.0, asked.text)

    def _grounds_of(self, reading: Reading, pick: Pick, blocked: int) -> Grounds:
        catalog, _, window_s = self._ready()
        traffic_class = catalog.classes[reading.cell.traffic_class]
        plan_id = self._selector.table.plan_id
        # Others of the cell may ask for what only some models have: the mask is not the cell's.
        # And whoever names an endpoint again and again spreads nothing over others.
        alone = pick.basis is Basis.PLAN and len(pick.shares) == 1 and not self._spreads(pick.model)
        alone = alone and not self.admission.sheds(reading.cell)
        return Grounds(
            plan_id=plan_id,
            cell=reading.cell,
            rule=reading.rule,
            traffic_class=traffic_class,
            pick=pick,
            fallbacks=_fallbacks(pick, traffic_class, blocked),
            reason=_reason(reading.cell, pick, plan_id, catalog),
            reuse_for_s=window_s if alone else 0.0,
        )

    def target(self, index: int) -> Target:
        """A model and the endpoint of it to ask now."""
        model = self._ready().catalog.models[index]
        return Target(index, model, self.endpoints.choose(index, model))

    def next_target(
        self, asked: Sequence[Target], fallbacks: Sequence[int], kind: str
    ) -> Target | None:
        """Whom to ask after these: the first model that was not asked and is not full.

        Where none is up, another endpoint of the last; where none of those is, a model all the
        same. What no longer may serve this kind of payload, since the decision, is not asked.
        """
        catalog = self.catalog
        closed = catalog.unfit[kind] | catalog.not_forwarded | -1 << len(catalog.models)
        known = bits(target.model_index for target in asked) | self.slices.full | closed
        others = [index for index in fallbacks if not known >> index & 1]
        up = [index for index in others if not self.health.down >> index & 1]
        may_stay = not closed >> asked[-1].model_index & 1
        if not up and may_stay and (elsewhere := self._elsewhere(asked[-1])) is not None:
            return elsewhere
        return self.target((up or others)[0]) if others else None

    def _elsewhere(self, last: Target) -> Target | None:
        """Another endpoint of the model that is not ejected."""
        index = last.model_index
        model = self._ready().catalog.models[index]
        address = self.endpoints.choose_other(index, model, last.endpoint)
        return Target(index, model, address) if address else None

    def is_fixed(self, grounds: Grounds) -> bool:
        """Whether decisions on these grounds all name the same endpoints."""
        return not any(map(self._spreads, (grounds.pick.model, *grounds.fallbacks)))

    def spreads(self, asked: Asked) -> bool:
        """Whether requests that are decided alike may name several endpoints."""
        fit = (i for i, _ in enumerate(self.catalog.models) if not asked.unfit >> i & 1)
        return any(map(self._spreads, fit))

    def _spreads(self, index: int) -> bool:
        return len(self._ready().catalog.models[index].endpoints) > 1

    def _pick(self, asked: Asked, *, spend: bool) -> tuple[Pick, int] | None:
        """The pick, and what was blocked for it; None without a candidate."""
        choose = self._selector.pick if spend else self._selector.peek
        # Where every candidate is ejected, ejection is ignored: one of them has to be asked.
        for blocked in (asked.unfit | self.health.down, asked.unfit):
            pick = choose(asked.reading.cell, blocked) or self._greedy(asked, blocked)
            if pick is not None:
                return pick, blocked
        return None

    def _pick_many(self, asked: Asked, count: int) -> tuple[list[tuple[Pick, int]], int]:
        """As `_pick` does, but for picks that are not the plan's: of those there are none."""
        for blocked in (asked.unfit | self.health.down, asked.unfit):
            picks = self._selector.pick_many(asked.reading.cell, blocked, count)
            if picks or self._greedy(asked, blocked):
                return picks, blocked
        return [], asked.unfit

    def _greedy(self, asked: Asked, blocked: int) -> Pick | None:
        reading, catalog = asked.reading, self.catalog
        greedy = catalog.classes[reading.cell.traffic_class].greedy
        index = next((i for i in greedy if not blocked >> i & 1), None)
        if index is None:
            return None
        cost = nominal_cost_nano_usd(catalog.models[index], reading.input_tokens or None)
        return Pick(index, 1.0, cost, Basis.GREEDY, shares=(), owed=False)


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
    of_cell = pick.basis is Basis.PLAN
    whose = "this cell" if of_cell else "the class, for it has no open model in this cell"
    share = f"plan {plan_id} gives {name} {pick.share:.0%} of {whose}"
    if pick.owed:
        return f"{share}, and {name} is owed most"
    return share if len(pick.shares) == 1 else f"{share}, and no other model of it is open"
