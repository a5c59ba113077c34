"""Decides which model answers a request: read, find who may, pick, say why."""

from collections.abc import Callable, Sequence

from server.config.models import HealthConfig
from server.config.schema import Config
from server.routing.admission import Admission
from server.routing.asked import Asked, hold_size, nobody
from server.routing.callers import Callers
from server.routing.catalog import Catalog, Model, bits
from server.routing.counters import Counters
from server.routing.decision import Decision, Decisions, Grounds
from server.routing.decision_id import Kind, Sealer
from server.routing.endpoints import Endpoints, Target
from server.routing.errors import NotReady
from server.routing.health import HealthTracker
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.picking import Picker
from server.routing.query import Query
from server.routing.readiness import Readiness, readiness
from server.routing.recent_texts import RecentTexts
from server.routing.reported import Reported, Told, observe
from server.routing.routes import Routes, compile_routes
from server.routing.selector import Selector, WeightTable
from server.routing.slices import Slices


class Router:
    """Everything a worker decides with. No I/O, no clock, no dice."""

    def __init__(
        self,
        selector: Selector,
        sealer: Sealer,
        counters: Counters,
        slices: Slices | None = None,
        callers: Callers | None = None,
        *,
        chance: Callable[[], float],
    ) -> None:
        """`slices` and `callers` have the whole, unless other workers have their parts; `chance`,
        uniform in [0, 1), spreads requests over endpoints.
        """
        self._selector = selector
        self.slices = slices or Slices()
        self.callers = callers or Callers()
        self.admission = Admission(counters, self.slices)
        self.sealer = sealer
        self._counters = counters
        self._routes: Routes | None = None
        self.health = HealthTracker(HealthConfig())
        self._picker = Picker(selector, self.health)
        self.prober = self._picker.prober
        self._decisions = Decisions(selector, self.admission)
        self.endpoints = Endpoints(self.health, chance)
        self.recent_texts = RecentTexts()

    @property
    def catalog(self) -> Catalog:
        """The catalog in force; raises NotReady before there is one."""
        return self._ready().catalog

    def configure(self, config: Config, learned: LearnedClassifier | None = None) -> None:
        """Compiles a configuration, and puts it in force."""
        self.put_in_force(compile_routes(config, learned))

    def put_in_force(self, routes: Routes) -> None:
        """Calls that are out end by the configuration of before."""
        config = routes.config
        self.callers.configure(config)
        self.health.tune(config.health)
        self.endpoints.track(
            (index, address)
            for index, model in enumerate(routes.catalog.models)
            for address in model.endpoints
        )
        self.admission.configure(config)
        self.recent_texts.on = config.classifier is not None and config.classifier.keep_requests > 0
        self._routes = routes
        self._decisions.forget()

    @property
    def table(self) -> WeightTable:
        """The plan in force."""
        return self._selector.table

    def publish(self, table: WeightTable) -> None:
        """Puts a plan in force."""
        self._selector.publish(table)
        self.admission.publish(table)
        self._decisions.forget()

    def read(self, query: Query, *, forwarded: bool = False) -> Asked:
        """Reads a request, which Infer forwards or its caller does; raises RoutingError."""
        _, catalog, classifier = self._ready()
        reading = classifier.read(query)
        if query.caller is not None:
            query.caller.hold_class(reading.cell.traffic_class)
        if query.size_bytes:
            hold_size(query.size_bytes, catalog.classes[reading.cell.traffic_class])
        unfit = catalog.unfit[query.payload_kind] | (catalog.not_forwarded if forwarded else 0)
        if query.capabilities:
            unfit |= catalog.lacking(query.capabilities)
        if query.options and catalog.refusing:
            unfit = catalog.hold_options(query.options, unfit)
        demanding = bool(query.capabilities)
        return Asked(reading, unfit, demanding, query.text, query.tenant, forwarded, query.owner)

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
        decision = self._decide(asked, now_s, spend=True, chance=chance)
        if chance < decision.grounds.traffic_class.audit_rate and not decision.audit_probability:
            decision.audit_probability = self.prober.audit_probability(asked, self.catalog)
        self._count(decision, 1, forwarded=asked.forwarded)
        if len(decision.target.model.endpoints) > 1:
            self.endpoints.give(decision.target.key)
        return decision

    def is_planned(self, asked: Asked) -> bool:
        """Whether `decide_alike` finds a model for such requests, as far as can be told now."""
        return self._picker.is_planned(asked, self.catalog)

    def decide_alike(self, asked: Asked, count: int, *, now_s: float) -> list[tuple[Decision, int]]:
        """Decides and counts so many requests of one cell by the plan: who answers how many.

        Empty where the plan has no open model for them. None of them is audited.
        """
        self.endpoints.refresh(now_s)
        routes = self._ready()
        picks, blocked = self._picker.pick_many(asked, routes.catalog, count)
        decided = []
        for pick, taken in picks:
            model = routes.catalog.models[pick.model]
            for address, part in self.endpoints.choose_many(pick.model, model, taken):
                target = Target(pick.model, model, address)
                decision = self._decisions.make(asked, pick, blocked, target, routes)
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
        catalog, decision = self.catalog, self.sealer.open(decision_id, now_s=now_s)
        if not reported.asked:
            reported = reported._replace(asked=[Told(decision.model, "", None)])
        loads, decided_s = self.endpoints.loads, decision.issued_s
        observe(reported, catalog, loads, self.health, decided_s=decided_s, now_s=now_s)

    def seal(self, decision: Decision, kind: Kind, model: Model, *, now_s: float) -> str:
        """A new decision id; `model` is the one that answers, which a grade will speak of."""
        cell = decision.reading.cell
        decision_id = self.sealer.seal(
            kind,
            cell,
            (model.name, model.version),
            audit_probability=decision.audit_probability,
            expected_cost_nano_usd=decision.grounds.pick.cost_nano_usd,
            owner=decision.owner,
            now_s=now_s,
        )
        self.recent_texts.add(decision_id, decision.text, cell.domain, decision.reading.intent)
        return decision_id

    def sealing(self, decision: Decision, kind: Kind, *, now_s: float) -> Callable[[], str]:
        """Makes ids of the decision, each a new one, for its own model; keeps no text."""
        model = decision.target.model
        return self.sealer.sealing(
            kind,
            decision.reading.cell,
            (model.name, model.version),
            audit_probability=decision.audit_probability,
            expected_cost_nano_usd=decision.grounds.pick.cost_nano_usd,
            owner=decision.owner,
            now_s=now_s,
        )

    def readiness(self, now_s: float) -> Readiness:
        """Who can be answered now; raises NotReady before there is a configuration."""
        self.health.refresh(now_s)
        return readiness(self.catalog, self.health.ejected)

    def models(self) -> tuple[Model, ...]:
        """Those of the configuration in force; none before there is one."""
        return () if self._routes is None else self._routes.catalog.models

    def _ready(self) -> Routes:
        if self._routes is None:
            raise NotReady("no configuration has come from the control plane yet: try again")
        return self._routes

    def _decide(self, asked: Asked, now_s: float, *, spend: bool, chance: float = 1.0) -> Decision:
        self.endpoints.refresh(now_s)
        routes = self._ready()
        picked = self._picker.pick(asked, routes.catalog, chance, spend=spend)
        if picked is None:
            raise nobody(asked, self.health, now_s=now_s)
        pick, blocked = picked
        model = routes.catalog.models[pick.model]
        target = Target(pick.model, model, self.endpoints.choose(pick.model, model))
        return self._decisions.make(asked, pick, blocked, target, routes)

    def target(self, index: int) -> Target:
        """A model and the endpoint of it to ask now."""
        model = self._ready().catalog.models[index]
        return Target(index, model, self.endpoints.choose(index, model))

    def next_target(
        self, asked: Sequence[Target], fallbacks: Sequence[int], kind: str
    ) -> Target | None:
        """Whom to ask after these: the first model that was not asked and is not full.

        Who failed and never answered comes last. Where none is up, another endpoint of the last;
        where none of those is, a model all the same. Who may no longer serve the kind is not asked.
        """
        others = self.not_asked(asked, fallbacks, kind)
        up = [index for index in others if not self.health.down >> index & 1]
        up.sort(key=self._is_suspect)
        may_stay = not self._closed(kind) >> asked[-1].model_index & 1
        if not up and may_stay and (elsewhere := self._elsewhere(asked[-1])) is not None:
            return elsewhere
        return self.target((up or others)[0]) if others else None

    def not_asked(self, asked: Sequence[Target], among: Sequence[int], kind: str) -> list[int]:
        """Those of these models that were not, are not full, and may serve this kind of payload."""
        known = (
            bits(target.model_index for target in asked) | self.slices.full | self.health.resting
        )
        known |= self._closed(kind)
        return [index for index in among if not known >> index & 1]

    def _closed(self, kind: str) -> int:
        """Bit m: Infer may not forward such payload to model m, or there is none."""
        catalog = self.catalog
        return catalog.unfit[kind] | catalog.not_forwarded | -1 << len(catalog.models)

    def _is_suspect(self, index: int) -> bool:
        addresses = self.models()[index].endpoints
        return all(self.health.is_suspect((index, address)) for address in addresses)

    def _elsewhere(self, last: Target) -> Target | None:
        """Another endpoint of the model that is not ejected."""
        index, model = last.model_index, self.models()[last.model_index]
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
