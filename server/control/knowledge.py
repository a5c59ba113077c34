"""What the control plane knows: the configuration in force, what was counted, and the estimates."""

from collections import Counter
from collections.abc import Collection

from optimizer.estimate.account import FloorAccount
from optimizer.estimate.accuracy import AccuracyEstimate, Prior
from optimizer.estimate.chain import ChainEstimate
from optimizer.estimate.demand import DemandEstimate
from optimizer.estimate.latency import LatencyEstimate
from optimizer.estimate.miss import MissEstimate, Promise
from optimizer.estimate.tokens import TokenEstimate
from server.config import ClassConfig, Config
from server.control.boot import Increment
from server.control.budgets import Spending
from server.control.counters import Workers
from server.control.drift import DomainDrift
from server.control.last_hour import LastHour
from server.control.outcomes import Grade, Settlement
from server.routing.catalog import Catalog, Cell, compile_catalog
from server.routing.counters import NO_MODEL, Counters, Counts, Leg
from server.routing.journey import counted
from server.routing.reported import Reported, journey_of
from server.routing.tokens import OpenDecision
from turnout.v1.control_pb2 import PushStatsRequest

GroupName = tuple[str, str]  # traffic class, payer


class Knowledge:
    """Is told what happened and when. Estimates hear of what was counted once a window."""

    def __init__(self, config: Config, *, epoch: int = 0) -> None:
        """`epoch` is this start of the control plane, as workers are told it."""
        self.accuracy = AccuracyEstimate({})
        self.latency = LatencyEstimate()
        self.miss = MissEstimate()
        self.usage = TokenEstimate()
        self.chains = ChainEstimate()
        self.demand = DemandEstimate()
        self.accounts: dict[GroupName, FloorAccount] = {}
        self.spending = Spending()
        self.workers = Workers(epoch=epoch)
        self.last_hour = LastHour()
        self.drift = DomainDrift()
        # Since the control plane began, for those who export.
        self.totals: dict[tuple[str, str], Counts] = {}  # by class and model
        self.shed: Counter[GroupName] = Counter()  # requests that were refused as planned
        self.domains: Counter[str] = Counter()  # decisions
        self.feedback: Counter[str] = Counter()  # by result
        self.refusals: Counter[str] = Counter()  # by reason, of the control plane's own calls
        self._window: dict[Leg, Counts] = {}
        self._decided: Counter[Cell] = Counter()  # and shed: all that was asked for
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Takes a configuration as the one in force."""
        self.config = config
        self.catalog: Catalog = compile_catalog(config)
        self.classes: dict[str, ClassConfig] = {c.name: c for c in config.classes}
        self.spending.configure(config.budgets)
        for model in config.models:
            self.accuracy.set_prior(model.name, Prior(model.prior_accuracy, model.prior_grades))

    def pushed(self, push: PushStatsRequest, *, now_s: float) -> None:
        """Counts what a worker's push adds."""
        for increment in self.workers.merge(push, now_s=now_s):
            if increment.leg.model == NO_MODEL:
                self._count_shed(increment, now_s=now_s)
            elif self._is_known(increment.leg.cell, increment.leg.model):
                self._count(increment, now_s=now_s)

    def settled(self, settlement: Settlement, *, now_s: float) -> None:
        """Counts what an outcome adds."""
        decision = settlement.decision
        if not self._is_known(decision.cell, decision.model):
            return
        if settlement.reported is not None:
            self._count_reported(decision, settlement.reported, now_s)
        if settlement.grade is not None:
            self._grade(decision, settlement.grade, now_s)

    def close_window(self, window_s: float, *, now_s: float) -> None:
        """Tells the estimates what was counted since the last window closed."""
        window, self._window = self._window, {}
        decided, self._decided = self._decided, Counter()
        self.demand.told({cell: float(count) for cell, count in decided.items()}, window_s)
        for leg, counts in window.items():
            self._learn(leg, counts, now_s)

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
        """Endpoints, as (model, address), that workers have ejected, not one alone of many."""
        return self.workers.ejected(now_s=now_s)

    def _is_known(self, cell: Cell, model: str) -> bool:
        """A decision may be older than the configuration, or of another one."""
        is_cell = cell.traffic_class in self.classes and cell.kind in self.catalog.unfit
        return is_cell and model in self.catalog.index

    def _count(self, increment: Increment, *, now_s: float) -> None:
        leg, counts, recent, new = increment
        cell, model = leg.cell, leg.model
        self.totals.setdefault((cell.traffic_class, model), Counts()).add(counts)
        if recent:
            self._window.setdefault(leg, Counts()).add(counts)
            self._decided[cell] += counts.decided
        if new:
            self.domains[cell.domain] += counts.decided
            self.drift.told(cell.domain, counts.decided, now_s=now_s)
            self.spending.spend(cell.payer, counts.cost_nano_usd, now_s=now_s)
            self.spending.expect(cell.payer, counts, made_s=now_s, now_s=now_s)
            self.last_hour.add(("model", model), counts, now_s=now_s)
            self.last_hour.add(("group", cell[:2]), counts, now_s=now_s)

    def _learn(self, leg: Leg, counts: Counts, now_s: float) -> None:
        """What estimates hear of one leg."""
        traffic_class = leg.cell.traffic_class
        if counts.attempts:
            usage = (float(counts.input_tokens), float(counts.output_tokens), counts.busy_s)
            self.usage.told(leg.cell, leg.model, counts.attempts, counts.answered, usage, now_s)
        if counts.attempts or counts.ended:
            self.chains.told(
                (traffic_class, leg.first, leg.model),
                ended=counts.ended,
                attempts=counts.attempts,
                answered=counts.answered,
                now_s=now_s,
            )
        if counts.completed:
            self.latency.told(leg.first, counts.latency_counts, counts.failed, now_s)
            slo_s = self.catalog.classes[traffic_class].slo_s
            if slo_s is not None:
                promise = Promise(traffic_class, slo_s, leg.first)
                self.miss.told(promise, counts.completed, counts.slo_missed, now_s)

    def _count_shed(self, increment: Increment, *, now_s: float) -> None:
        """What is refused was asked for: without it the next plan would serve it all again."""
        cell, counts = increment.leg.cell, increment.counts
        if cell.traffic_class not in self.classes:
            return
        self.shed[cell[:2]] += counts.shed
        if increment.recent:
            self._decided[cell] += counts.shed
        if increment.new:
            self.last_hour.add(("group", cell[:2]), counts, now_s=now_s)

    def _count_reported(self, decision: OpenDecision, reported: Reported, now_s: float) -> None:
        """Counts a request that its caller saw through, as a worker would have."""
        counters = Counters()
        counted(journey_of(reported, decision.cell, decision.model, self.catalog), counters)
        for leg in counters.take_touched():
            self._count(Increment(leg, counters.get(leg), recent=True, new=True), now_s=now_s)
        self._take_off(decision, now_s)

    def _take_off(self, decision: OpenDecision, now_s: float) -> None:
        """Its usage has come: from the time when it was made, it is unreported no more."""
        cell, made_s = decision.cell, float(decision.issued_s)
        taken = Counts(unreported=-1, unreported_nano_usd=-decision.expected_cost_nano_usd)
        self.spending.expect(cell.payer, taken, made_s=made_s, now_s=now_s)
        self.last_hour.add(("model", decision.model), taken, now_s=made_s)
        self.last_hour.add(("group", cell[:2]), taken, now_s=made_s)

    def _grade(self, decision: OpenDecision, grade: Grade, now_s: float) -> None:
        """Only the audit sample feeds floors: who grades unasked grades what went wrong."""
        config = self.classes[decision.cell.traffic_class]
        if not decision.audit_probability or config.grades == "none":
            self.feedback["unasked"] += 1
            return
        self.feedback["audited"] += 1
        cell, weight = decision.cell, 1 / decision.audit_probability
        account = self.accounts.get(cell[:2])
        if grade.replaces is not None:
            before, model, told_s = grade.replaces
            self.accuracy.retract(cell, model, before, weight, told_s)
            if account is not None:
                account.replaced(before, grade.value, weight, decided_s=decision.issued_s)
        elif account is not None:
            account.told(grade.value, weight, decided_s=decision.issued_s, now_s=now_s)
        self.accuracy.told(cell, grade.model, grade.value, weight, now_s)
