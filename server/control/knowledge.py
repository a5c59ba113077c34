"""What the loop of the control plane knows: the configuration in force and what was counted."""

from collections import Counter
from collections.abc import Collection

from server.config.classes import ClassConfig
from server.config.list_prices import with_list_prices
from server.config.models import ModelConfig
from server.config.schema import Config
from server.config.section import OTHER
from server.control.boot import Increment
from server.control.budgets import Spending
from server.control.counters import Workers
from server.control.drift import DomainDrift
from server.control.facts import Facts, Given, Graded, GroupName
from server.control.last_hour import LastHour
from server.control.outcomes import Grade, Settlement
from server.routing.catalog import Catalog, Cell, compile_catalog, is_payer
from server.routing.counters import NO_MODEL, OVERFLOW, Counters, Counts
from server.routing.decision_id import OpenDecision
from server.routing.journey import count_journey
from server.routing.places import in_places
from server.routing.reported import Reported, journey_of
from turnout.v1.control_pb2 import PushStatsRequest


class Knowledge:
    """Counts what workers and callers report, and hands each step what is new."""

    def __init__(self, config: Config, *, epoch: int = 0) -> None:
        """`epoch` is this start of the control plane, as workers are told it."""
        self.facts = Facts()
        self.spending = Spending()
        self.workers = Workers(epoch=epoch)
        self.last_hour = LastHour()
        self.drift = DomainDrift()
        # Totals since the control plane began, for exporters.
        self.totals: dict[tuple[str, str], Counts] = {}  # by class and model
        self.shed: Counter[GroupName] = Counter()  # requests that the plan shed
        self.domains: Counter[str] = Counter()  # decisions by domain
        self.feedback: Counter[str] = Counter()  # grades by what became of them
        self.refusals: Counter[str] = Counter()  # of the control plane itself, by reason
        self._placed: tuple[ModelConfig, ...] = ()
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Puts a configuration in force."""
        self.config = config
        priced = with_list_prices(config)
        self.catalog: Catalog = compile_catalog(priced)
        # With the models that left, at their last price: decisions that named them are reported on.
        placed = in_places(priced, self._placed)
        self._placed = placed.models
        self.with_left: Catalog = compile_catalog(placed)
        self.classes: dict[str, ClassConfig] = {c.name: c for c in config.classes}
        self.spending.configure(config.budgets)
        self._forget_left()

    def reconfigure(self, config: Config) -> None:
        """Puts another configuration in force: who pays may have another name in it."""
        before = self.catalog
        self.configure(config)
        groups = before.groups_after(self.catalog)
        self.last_hour.rename({("group", old): ("group", new) for old, new in groups.items()})

    def may_be_reported(self, model: str) -> bool:
        """Whether a decision can have named it: it is configured, or has left since."""
        return model in self.with_left.index

    def count_push(self, push: PushStatsRequest, *, now_s: float) -> None:
        """Counts what a worker's push adds."""
        for increment in self.workers.merge(push, now_s=now_s):
            if increment.leg.model == NO_MODEL:
                self._count_shed(increment, now_s=now_s)
            else:
                self._count(increment, now_s=now_s)

    def count_settlement(self, settlement: Settlement, *, now_s: float) -> None:
        """Counts what an outcome adds."""
        decision = settlement.decision
        if settlement.reported is not None:
            self._count_reported(decision, settlement.reported, now_s)
        if settlement.grade is not None and self._is_known(decision.cell, decision.model):
            self._grade(decision, settlement.grade, now_s)

    def take_given(self, now_s: float, watched_s: float) -> Given:
        """Hands a step all that is new; the next step gets none of it again."""
        self.workers.forget_unheard(now_s=now_s)
        self.last_hour.forget_older(now_s=now_s)
        return Given(
            now_s=now_s,
            watched_s=watched_s,
            told=self.facts.take(),
            config=self.config,
            classes=self.classes,
            catalog=self.catalog,
            up=self.models_up(now_s=now_s),
            budgets=self.spending.states(window_s=self.config.window_s, now_s=now_s),
            last_hour=self.last_hour.copy(),
        )

    def models_up(self, *, now_s: float) -> frozenset[str]:
        """Models that are enabled and whose endpoints, if they have any, are not all ejected."""
        ejected = self.ejected(now_s=now_s)
        return frozenset(
            model.name
            for model in self.config.models
            if model.enabled
            and (
                not model.endpoints  # their callers reach it themselves
                or any((model.name, a) not in ejected for a in model.endpoints)
            )
        )

    def ejected(self, *, now_s: float) -> Collection[tuple[str, str]]:
        """Endpoints, as (model, address), that enough workers have ejected."""
        return self.workers.ejected(now_s=now_s)

    def _forget_left(self) -> None:
        """Or what is exported, which goes by names, would grow with every file that is reloaded."""
        self.totals = {
            (name, model): counts
            for (name, model), counts in self.totals.items()
            if name in self.classes and model in self.catalog.index
        }
        budgets = frozenset(budget.name for budget in self.config.budgets)
        self.shed = Counter(
            {
                (name, payer): count
                for (name, payer), count in self.shed.items()
                if name in self.classes and is_payer(payer, budgets)
            }
        )
        domains = {OTHER, OVERFLOW, *(d.name for d in self.config.domains), *self.drift.domains}
        self.domains = Counter({name: n for name, n in self.domains.items() if name in domains})

    def _is_known(self, cell: Cell, model: str) -> bool:
        """Whether the configuration has both; a decision may be older than it."""
        is_cell = cell.traffic_class in self.classes and cell.kind in self.catalog.unfit
        return is_cell and model in self.catalog.index

    def _count(self, increment: Increment, *, now_s: float) -> None:
        leg, counts, recent, new = increment
        cell, model = leg.cell, leg.model
        if new:
            self.spending.spend(
                cell.payer,
                counts.cost_nano_usd,
                now_s=now_s,
                estimated_nano_usd=counts.estimated_nano_usd,
            )
            self.spending.expect(cell.payer, counts, made_s=now_s, now_s=now_s)
        if not self._is_known(cell, model):
            return  # money is money, but nothing is planned or shown by a name that left
        self.totals.setdefault((cell.traffic_class, model), Counts()).add(counts)
        if recent:
            self.facts.count_leg(leg, counts)
            self.facts.count_requests(cell, counts.decided)
        if new:
            self.domains[cell.domain] += counts.decided
            self.drift.observe_decisions(cell.domain, counts.decided, now_s=now_s)
            self.last_hour.add(("model", model), counts, now_s=now_s)
            self.last_hour.add(("group", cell[:2]), counts, now_s=now_s)

    def _count_shed(self, increment: Increment, *, now_s: float) -> None:
        """Counts refused requests as demand: else the next plan would expect too little."""
        cell, counts = increment.leg.cell, increment.counts
        if cell.traffic_class not in self.classes:
            return
        self.shed[cell[:2]] += counts.shed
        if increment.recent:
            self.facts.count_requests(cell, counts.shed)
        if increment.new:
            self.last_hour.add(("group", cell[:2]), counts, now_s=now_s)

    def _count_reported(self, decision: OpenDecision, reported: Reported, now_s: float) -> None:
        """Counts a request that its caller saw through, as a worker would have."""
        counters = Counters()
        journey = journey_of(reported, decision.cell, decision.model, self.with_left)
        count_journey(journey, counters)
        for leg in counters.take_touched():
            self._count(Increment(leg, counters.get(leg), recent=True, new=True), now_s=now_s)
        self._take_off(decision, now_s)

    def _take_off(self, decision: OpenDecision, now_s: float) -> None:
        """Takes a decision whose usage has come off what is unreported, at the time it was made."""
        cell, made_s = decision.cell, float(decision.issued_s)
        if made_s < self.workers.since_s:
            return
        taken = Counts(unreported=-1, unreported_nano_usd=-decision.expected_cost_nano_usd)
        self.spending.expect(cell.payer, taken, made_s=made_s, now_s=now_s)
        self.last_hour.add(("model", decision.model), taken, now_s=made_s)
        self.last_hour.add(("group", cell[:2]), taken, now_s=made_s)

    def _grade(self, decision: OpenDecision, grade: Grade, now_s: float) -> None:
        """Counts a grade. Only the audit sample feeds floors: who grades unasked saw a mistake."""
        config = self.classes[decision.cell.traffic_class]
        if not decision.audit_probability or config.grades == "none":
            self.feedback["unasked"] += 1
            return
        graded = Graded(
            decision.cell,
            grade.model,
            grade.value,
            1 / decision.audit_probability,
            decided_s=decision.issued_s,
            told_s=now_s,
            replaces=grade.replaces,
        )
        self.feedback["audited" if self.facts.add_grade(graded) else "beyond_limit"] += 1
