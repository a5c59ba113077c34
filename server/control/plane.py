"""The control plane as its servicers call it: what is known, what is planned, what is in force."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from server.config.as_json import to_json
from server.config.list_prices import with_list_prices
from server.config.live import with_classifier
from server.config.schema import Config
from server.control import readings, views
from server.control.classifier_keeper import ClassifierKeeper
from server.control.comparison import Comparison
from server.control.corridor import Corridor, Solver, solve_window
from server.control.estimates import Estimates
from server.control.explainer import Explainer, Pricer, price_window
from server.control.kept_config import KeptConfig
from server.control.kept_files import KeptFiles
from server.control.key_keeper import KeyKeeper
from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.control.publisher import Publisher
from server.control.remembered import counted_by_now, take_up
from server.control.replanner import Replanner
from server.control.spent_file import restore_spent
from server.control.state_keeper import StateKeeper
from server.control.update_log import Author, Update
from server.routing.errors import RoutingError
from turnout.v1.admin_pb2 import BudgetStatus, ClassifierStatus, ModelStatus, Plan, Worker
from turnout.v1.control_pb2 import PushStatsRequest, WatchPlanResponse
from turnout.v1.routing_pb2 import Outcome, OutcomeResult

_log = structlog.get_logger()


class ControlPlane:
    """All that one control plane holds. Every method runs on its event loop."""

    def __init__(
        self,
        config: Config,
        decision_key: bytes,
        files: KeptFiles,
        *,
        clock: Callable[[], float],
        solver: Solver = solve_window,
        pricer: Pricer = price_window,
    ) -> None:
        self._clock = clock
        self._files = files
        self.started_s = clock()
        epoch = round(self.started_s * 1_000)
        self._knowledge = Knowledge(config, epoch=epoch)
        self._outcomes = Outcomes(decision_key, self._knowledge.may_be_reported)
        self._state = StateKeeper(files.state, on_written=self._remove_spent)
        known = self._state.restore(
            lambda kept: take_up(
                kept, self._knowledge, self._outcomes, epoch=epoch, now_s=self.started_s
            )
        )
        restore_spent(files.spent, self._knowledge.spending)
        self._kept_config = KeptConfig(files.live_config, files.updates)
        self._classifier = ClassifierKeeper(files.live_config.parent, self._knowledge.drift)
        self._publisher = Publisher(epoch, to_json(with_list_prices(config)))
        self._explainer = Explainer(pricer)
        self._corridor = Corridor(
            self._knowledge,
            known or Estimates(),
            epoch=epoch,
            begun_s=self.started_s if known is None else None,
            solver=solver,
        )
        self._replanner = Replanner(
            self._corridor,
            self._knowledge,
            self._publisher,
            self._explainer,
            epoch=epoch,
            clock=clock,
            on_gathered=self._take,
        )
        if known is not None:
            self._replanner.wake()  # there is enough to plan with
        else:
            self._knowledge.last_hour.begin(now_s=self.started_s)
        self._up = self._knowledge.models_up(now_s=self.started_s)
        self._updating = asyncio.Lock()  # whatever is kept with who asked for it
        self._replacing = asyncio.Lock()  # the classifier
        self.keys = KeyKeeper(
            files.keys, self._kept_config, self._updating, epoch=epoch, clock=clock
        )

    def now_s(self) -> float:
        """Seconds since 1970, by the clock that all of it goes by."""
        return self._clock()

    @property
    def config(self) -> Config:
        """The one in force."""
        return self._knowledge.config

    async def run(self) -> None:
        """Plans and explains until cancelled."""
        async with self._replacing:  # or the first comparison would be with nothing
            await self._classifier.configure(self.config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._replanner.run())
            tasks.create_task(self._explainer.run())
            tasks.create_task(self._state.run())
            tasks.create_task(self._keep_again())

    def count_refusal(self, reason: str) -> None:
        """A call of an operator or a worker was answered with an error of this reason."""
        _log.info("refused", reason=reason)
        self._knowledge.refusals[reason] += 1

    def watch(self) -> AsyncIterator[WatchPlanResponse]:
        """What is in force, then each change."""
        return self._publisher.watch()

    def push(self, push: PushStatsRequest) -> None:
        """Counts; plans at once where a model lost its last endpoint or has one again."""
        now_s = self._clock()
        self._knowledge.count_push(push, now_s=now_s)
        self._classifier.keep_texts(push)
        self.keys.count_use(push.keys_used, worker=push.worker, boot=push.boot)
        up = self._knowledge.models_up(now_s=now_s)
        if up != self._up:
            _log.info("models up", models=sorted(up), before=sorted(self._up))
            self._up = up
            self._replanner.wake()

    def settle(self, outcomes: Sequence[Outcome]) -> list[OutcomeResult]:
        """One result for each outcome, in order."""
        return [self._settle(outcome) for outcome in outcomes]

    async def update(self, change: Callable[[Config], Config], *, by: Author) -> Config:
        """Changes the configuration: kept on disk first, then in force, then planned with."""
        # A caller that gives up meanwhile must not leave it on disk but not in force.
        return await asyncio.shield(self._update(change, by))

    def updates(self) -> list[Update]:
        """Who changed what, the newest first."""
        return self._kept_config.updates()

    def budget_statuses(self) -> list[BudgetStatus]:
        """Every budget, with what it has spent."""
        return list(views.budget_statuses(self._knowledge, now_s=self._clock()))

    def plan(self, plan_id: str = "") -> Plan | None:
        """The plan in force with the newest step prices, or the one of this id.

        None before the first; raises RoutingError where that of the id is not kept.
        """
        newest = self._replanner.explained()
        newest_id = "" if newest is None else newest.id
        if plan_id in ("", newest_id):
            return newest
        return self._replanner.archive.find(plan_id, newest=newest_id)

    def no_plan_reason(self) -> str:
        """Why no window that has ended brought a plan; empty once one has, or if none has ended."""
        return self._corridor.no_plan_reason

    def model_statuses(self) -> list[ModelStatus]:
        """Every model, with what is believed of it and what it did in the last hour."""
        return list(
            views.model_statuses(self._knowledge, self._corridor.accuracy, now_s=self._clock())
        )

    def workers(self) -> list[Worker]:
        """Every worker that has pushed."""
        return list(views.workers(self._knowledge))

    def classifier(self) -> ClassifierStatus | None:
        """What the learned classifier sees, against what it learned from; None without one."""
        return self._classifier.status(now_s=self._clock())

    async def update_classifier(
        self, data: bytes, *, force: bool, dry_run: bool, by: Author
    ) -> tuple[Comparison | None, bool]:
        """Compares, and puts it in force unless it is clearly worse; says whether it is in force.

        Raises ClassifierInvalid.
        """
        # As update: a caller that gives up leaves nothing half done.
        return await asyncio.shield(self._replace(data, by, force=force, dry_run=dry_run))

    def data_address(self) -> str:
        """Where callers are served; empty until a worker has pushed."""
        told = (boot.data_address for boot in self._knowledge.workers.states())
        return next(filter(None, told), "")

    def values(self) -> dict[str, list[readings.Point]]:
        """What counters and gauges stand at, for those who export."""
        plan, changed = self._corridor.plan, self._corridor.changed
        values = readings.values(self._knowledge, plan, changed, now_s=self._clock())
        return values | readings.of_keys(self.keys.ring.records, self.keys.totals)

    def durations(self) -> list[readings.Duration]:
        """How long requests took, for those who export."""
        return readings.durations(self._knowledge)

    def behind(self) -> list[str]:
        """Workers at which the configuration in force is not in force yet."""
        newest = self._publisher.config_number
        return self._knowledge.workers.behind(newest, now_s=self._clock())

    def behind_keys(self) -> list[str]:
        """Workers at which the keys in force are not in force yet."""
        return self._knowledge.workers.behind_keys(self.keys.number, now_s=self._clock())

    async def _update(self, change: Callable[[Config], Config], by: Author) -> Config:
        async with self._updating:  # or of two changes at once the first would be lost
            config = change(self.config)
            if config == self.config:
                return config
            await self._kept_config.replace(self.config, config, by, now_s=self._clock())
            await self._classifier.configure(config)
            # No await from here on: a plan of a window that ends meanwhile would name models that
            # workers do not know.
            self._knowledge.reconfigure(config)
            self._up = self._knowledge.models_up(now_s=self._clock())
            self._publisher.publish_config(to_json(with_list_prices(config)))
            self._explainer.forget()
            self._replanner.wake()
        return config

    async def _replace(
        self, data: bytes, by: Author, *, force: bool, dry_run: bool
    ) -> tuple[Comparison | None, bool]:
        async with self._replacing:  # or of two at once each would delete the other's file
            contents, comparison = await self._classifier.compare(self.config, data)
            worse = comparison is not None and bool(comparison.worse)
            if dry_run or (worse and not force):
                return comparison, False
            file = await self._classifier.save(data, contents)
            await self._update(lambda config: with_classifier(config, file), by)
        return comparison, True

    def _settle(self, outcome: Outcome) -> OutcomeResult:
        now_s = self._clock()
        try:
            settlement = self._outcomes.settle(outcome, now_s=now_s)
        except RoutingError as error:
            return OutcomeResult(reason=error.reason, message=error.with_field)
        self._knowledge.count_settlement(settlement, now_s=now_s)
        self._classifier.keep_labels(outcome)
        return settlement.result

    def _take(self, now_s: float) -> Callable[[], None]:
        """What was counted by now; it is kept with the estimates once they have heard of it."""
        counted = counted_by_now(self._knowledge, self._outcomes)
        estimates = self._corridor.estimates
        return lambda: self._state.take({**estimates.to_plain(), **counted}, now_s=now_s)

    async def keep_files(self) -> None:
        """Writes what outlives the process and is not on the disk as it is; do so last of all."""
        now_s = self._clock()
        self._corridor.learn(now_s)
        self._take(now_s)()
        await self._state.write()
        await self._keep_config()

    def _remove_spent(self) -> None:
        self._files.spent.unlink(missing_ok=True)

    async def _keep_config(self) -> None:
        """Every update has written it; others may have removed it since."""
        async with self._updating:
            await self._kept_config.write_again(self.config)
            await self.keys.write_again()

    async def _keep_again(self) -> None:
        """Once a window. What was learned is kept when its window is closed."""
        while True:
            await asyncio.sleep(self.config.window_s)
            await self._keep_config()
            await self._classifier.keep(now_s=self._clock())
