"""What attempts teach of models and their endpoints: whom to blame, how long to wait, how often to
ask again.
"""

from server.routing.health import HealthTracker
from server.routing.journey import Attempt, Fate, Journey, convicted
from server.routing.patience import Tails, own_time_s
from server.routing.retry_budget import RetryBudgets
from server.routing.verdicts import VERDICTS, Blame


class Experience:
    """Of one worker. Is told of attempts and journeys that have ended; no clock."""

    def __init__(self, health: HealthTracker) -> None:
        self._health = health
        self._tails = Tails()
        self._budgets = RetryBudgets()

    def own_time_s(self, journey: Journey, attempt: Attempt) -> float:
        """The time of its own that an attempt has which begins now."""
        tail = self._tails.of(attempt.target.model_index, journey.cell.traffic_class)
        attempt.tail_s = tail.seconds or 0.0
        left_s = journey.time_left_s(attempt.begun_s)
        return own_time_s(left_s, journey.slo_s, tail.seconds)

    def may_repeat(self, attempt: Attempt) -> bool:
        """Whether its request may be asked again, though it may be under way or the model busy.

        Of an endpoint that is ejected what is under way is known to be lost.
        """
        target = attempt.target
        budget = self._budgets.of(target.model_index)
        return not budget.is_spent or self._health.is_ejected(target.key)

    def give_up(self, attempt: Attempt) -> None:
        """An attempt that is out is to be given up; those that end with it may be many."""
        self._budgets.of(attempt.target.model_index).failed()

    def observe(self, journey: Journey, attempt: Attempt) -> None:
        """An attempt has ended; for what its blame hangs on, the journey has to end."""
        target, budget = attempt.target, self._budgets.of(attempt.target.model_index)
        if attempt.fate is Fate.ANSWERED:
            budget.answered()
            tail = self._tails.of(target.model_index, journey.cell.traffic_class)
            tail.observe(attempt.took_s)
            self._health.succeeded(target.key, sent_s=attempt.begun_s, now_s=attempt.ended_s)
        elif attempt.fate is Fate.GIVEN_UP:
            self._tails.of(target.model_index, journey.cell.traffic_class).outlasted()
        elif attempt.fate is Fate.FAILED:
            if VERDICTS[attempt.code].retry:
                budget.failed()
            self._observe_status(attempt)

    def _observe_status(self, attempt: Attempt) -> None:
        endpoint = attempt.target.key
        if attempt.blame is Blame.ENDPOINT:
            self._health.failed(endpoint, sent_s=attempt.begun_s, now_s=attempt.ended_s)
        elif attempt.blame is not Blame.SILENCE:
            self._health.heard(endpoint, now_s=attempt.ended_s)

    def conclude(self, journey: Journey) -> None:
        """A journey has ended: who failed where another answered, or was silent, is to blame."""
        if len(journey.attempts) == 1 and journey.attempts[0].fate is Fate.ANSWERED:
            return  # as most are
        for attempt in convicted(journey, self._was_heard):
            self._health.failed(attempt.target.key, sent_s=attempt.begun_s, now_s=journey.ended_s)

    def _was_heard(self, attempt: Attempt) -> bool:
        return self._health.was_heard(attempt.target.key, since_s=attempt.begun_s)
