"""What a step believes: the estimates, which nobody else reads while it works."""

from collections.abc import Mapping
from typing import Any, Self

from optimizer.estimate.account import FloorAccount
from optimizer.estimate.accuracy import AccuracyEstimate, Estimate, Prior
from optimizer.estimate.accuracy import Cell as Bucket
from optimizer.estimate.chain import ChainEstimate
from optimizer.estimate.demand import DemandEstimate
from optimizer.estimate.latency import LatencyEstimate
from optimizer.estimate.miss import MissEstimate, Promise
from optimizer.estimate.need import NeedEstimate
from optimizer.estimate.usage import UsageEstimate, Used
from server.config.models import ModelConfig
from server.config.schema import Config
from server.control.facts import Given, Graded, GroupName
from server.control.model_changes import ModelChanges
from server.routing.catalog import Catalog, is_payer
from server.routing.counters import Counts, Leg


class Estimates:
    """All estimates; they learn once a step."""

    def __init__(self) -> None:
        self.accuracy = AccuracyEstimate({})
        self.latency = LatencyEstimate()
        self.miss = MissEstimate()
        self.usage = UsageEstimate()
        self.chains = ChainEstimate()
        self.demand = DemandEstimate()
        self.needs = NeedEstimate()
        self.accounts: dict[GroupName, FloorAccount] = {}
        self.changes = ModelChanges()
        self._versions: dict[str, str] = {}  # of the models that are believed
        self._config: Config | None = None
        self._catalog: Catalog | None = None  # of the last step that learned

    def configure(self, config: Config, now_s: float) -> None:
        """Believes what a configuration says of its models, until grades say more."""
        if config is not self._config:
            self._config = config
            for model in config.models:
                self.accuracy.set_prior(model.name, _prior(model))
                if self._versions.get(model.name, model.version) != model.version:
                    self.accuracy.succeed(model.name, now_s)
                    self.changes.watch.forget(model.name)
            self._versions = {model.name: model.version for model in config.models}
            # Nothing is owed to a class or payer that left, nor when another of its name comes.
            names = {traffic_class.name for traffic_class in config.classes}
            budgets = frozenset(budget.name for budget in config.budgets)
            self.accounts = {
                (name, payer): account
                for (name, payer), account in self.accounts.items()
                if name in names and is_payer(payer, budgets)
            }

    def learn(self, given: Given) -> None:
        """Learns all new facts."""
        self.configure(given.config, given.now_s)
        asked: dict[Bucket, float] = {cell: float(n) for cell, n in given.told.asked.items()}
        self.demand.observe_requests(asked, given.watched_s)
        self._rename_payers(given.catalog)
        for leg, counts in given.told.legs.items():
            # A leg may be of an older configuration.
            if leg.cell.traffic_class in given.catalog.classes:
                self._learn(leg, counts, given.catalog, given.now_s)
        for graded in given.told.grades:
            self._grade(graded)

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        accounts = [[name, account.to_plain()] for name, account in self.accounts.items()]
        return {
            "accuracy": self.accuracy.to_plain(),
            "latency": self.latency.to_plain(),
            "miss": self.miss.to_plain(),
            "usage": self.usage.to_plain(),
            "chains": self.chains.to_plain(),
            "demand": self.demand.to_plain(),
            "needs": self.needs.to_plain(),
            "accounts": {"rows": accounts},
            "models": {"versions": list(self._versions.items()), **self.changes.to_plain()},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, age_s: float = 0.0) -> Self:
        """Takes up what `to_plain` wrote so long ago.

        Raises ValueError, TypeError or LookupError where it is something else.
        """
        found = cls()
        found.accuracy = AccuracyEstimate.from_plain(plain["accuracy"], {})
        found.latency = LatencyEstimate.from_plain(plain["latency"])
        found.miss = MissEstimate.from_plain(plain["miss"])
        found.usage = UsageEstimate.from_plain(plain["usage"])
        found.chains = ChainEstimate.from_plain(plain["chains"])
        found.demand = DemandEstimate.from_plain(plain["demand"], age_s=age_s)
        found.needs = NeedEstimate.from_plain(plain["needs"])
        found.accounts = {
            (str(traffic_class), str(payer)): FloorAccount.from_plain(account)
            for (traffic_class, payer), account in plain["accounts"]["rows"]
        }
        found._versions = dict(plain["models"]["versions"])
        found.changes = ModelChanges.from_plain(plain["models"])
        return found

    def _rename_payers(self, catalog: Catalog) -> None:
        """Or the requests of a payer would be planned for under a name that nobody has any more."""
        if self._catalog is not None and self._catalog is not catalog:
            self.demand.rename(self._catalog.groups_after(catalog))
        self._catalog = catalog

    def _learn(self, leg: Leg, counts: Counts, catalog: Catalog, now_s: float) -> None:
        traffic_class = leg.cell.traffic_class
        if counts.attempts:
            used = Used(*(float(getattr(counts, name)) for name in Used._fields))
            self.usage.observe_usage(
                leg.cell, leg.model, counts.attempts, counts.answered, used, now_s
            )
        if counts.attempts or counts.ended:
            self.chains.observe_leg(
                (traffic_class, leg.first, leg.model),
                ended=counts.ended,
                attempts=counts.attempts,
                answered=counts.answered,
                now_s=now_s,
            )
        if counts.completed:
            self.latency.observe_latencies(leg.first, counts.latency_counts, counts.failed, now_s)
            slo_s = catalog.classes[traffic_class].slo_s
            if slo_s is not None:
                promise = Promise(traffic_class, slo_s, leg.first)
                self.miss.observe_misses(promise, counts.completed, counts.slo_missed, now_s)

    def _grade(self, graded: Graded) -> None:
        cell, model, quality, weight, decided_s, told_s, replaces = graded
        account = self.accounts.get(cell[:2])
        if replaces is not None:
            before, model_before, before_s = replaces
            self.accuracy.retract_grade(cell, model_before, before, weight, before_s)
            if account is not None:
                account.replace_grade(before, quality, weight, decided_s=decided_s)
        elif account is not None:
            account.record_grade(quality, weight, decided_s=decided_s, now_s=told_s)
        self.accuracy.record_grade(cell, model, quality, weight, told_s)
        if replaces is None and (change := self.changes.observe_grade(graded)) is not None:
            for group in self.accuracy.begin_anew(model, change.recent, told_s):
                if group in self.accounts:
                    self.accounts[group].begin_anew()


def believed_before(model: ModelConfig) -> Estimate:
    """What is believed of a model before any step has learned of it."""
    return AccuracyEstimate({model.name: _prior(model)}).of_model(model.name, 0.0)


def _prior(model: ModelConfig) -> Prior:
    return Prior(model.prior_accuracy, model.prior_grades)
