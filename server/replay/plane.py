"""A control plane without its wires, files and clock: what is known, and the step of a window."""

from server.config.schema import Config
from server.control.corridor import Corridor, Haste, Step
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.outcomes import Outcomes
from server.replay.worker import KEY
from server.routing.errors import RoutingError
from turnout.v1.admin_pb2 import Plan
from turnout.v1.control_pb2 import PushStatsRequest, WatchPlanResponse
from turnout.v1.routing_pb2 import Outcome


class Plane:
    """Is told what a control plane is told, and plans when it is asked to."""

    def __init__(self, config: Config, *, epoch: int, now_s: float) -> None:
        self.knowledge = Knowledge(config, epoch=epoch)
        self.knowledge.last_hour.begin(now_s=now_s)
        self._outcomes = Outcomes(KEY, self.knowledge.may_be_reported)
        self._corridor = Corridor(self.knowledge, Estimates(), epoch=epoch, begun_s=now_s)
        self.failures = 0  # windows that got no plan

    @property
    def plan(self) -> Plan | None:
        """The one in force; None before the first."""
        return self._corridor.plan

    def configure(self, config: Config) -> None:
        """Puts another configuration in force."""
        self.knowledge.reconfigure(config)

    def count(self, push: PushStatsRequest, *, now_s: float) -> None:
        """Counts what a worker pushed."""
        self.knowledge.count_push(push, now_s=now_s)

    def up(self, now_s: float) -> frozenset[str]:
        """Models that can be asked."""
        return self.knowledge.models_up(now_s=now_s)

    def settle(self, outcome: Outcome, *, now_s: float) -> None:
        """Counts what a caller reports; one that comes too late counts nowhere."""
        try:
            settlement = self._outcomes.settle(outcome, now_s=now_s)
        except RoutingError:
            return
        self.knowledge.count_settlement(settlement, now_s=now_s)

    def step(self, now_s: float) -> tuple[WatchPlanResponse, ...]:
        """Plans; returns the new plan in parts, or nothing where the one in force stays.

        By a clock that stands still, so that no plan hangs on how fast this machine is.
        """
        step: Step = self._corridor.work(self._corridor.gather(now_s), Haste(clock=_standing))
        self._corridor.accept(step)
        if step.draft is None:
            self.failures += 1
            return ()
        return step.draft.parts


def _standing() -> float:
    return 0.0
