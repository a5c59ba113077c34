"""What attempts teach of models and their endpoints: whom to blame, how long to wait, how often to
ask again.
"""

from collections import defaultdict
from math import inf
from typing import NamedTuple

from server.routing.conviction import Charge, convicted
from server.routing.endpoints import Target
from server.routing.health import HealthTracker
from server.routing.journey import ANSWERED, FAILED, GIVEN_UP, Attempt, Journey
from server.routing.patience import Tail, Tails, own_time_s
from server.routing.retry_budget import ClassBudget, RetryBudget
from server.routing.status_meaning import STATUS_MEANINGS, Blame
from server.status_code import Code

# How many pairs of model and class have known answers, 300 bytes each. Pairs beyond have no known
# tail, so they are waited for by their SLO.
LESSONS_MAX = 10_000
# A stream that is ended is not asked again elsewhere: no pause of a machine is taken for its end.
SILENCE_S_MIN = 1.0


class Lesson(NamedTuple):
    """What is known of one model in one class."""

    tail: Tail
    budget: ClassBudget  # of what its model has for all classes


class Experience:
    """What one worker learned from attempts and journeys that have ended; no clock."""

    def __init__(self, health: HealthTracker, *, lessons_max: int = LESSONS_MAX) -> None:
        self._health = health
        self._lessons_max = lessons_max
        self._lessons: dict[tuple[int, str], Lesson] = {}
        # By model, of which a configuration has only so many.
        self._budgets: dict[int, RetryBudget] = {}
        self._tails: defaultdict[int, list[Tail]] = defaultdict(list)

    def of(self, model_index: int, traffic_class: str) -> Lesson:
        """What is known of a model in a class."""
        lesson = self._lessons.get((model_index, traffic_class))
        if lesson is None:
            budget = self._budgets.setdefault(model_index, RetryBudget())
            lesson = Lesson(Tail(), ClassBudget(budget))
            if len(self._lessons) < self._lessons_max:
                self._lessons[model_index, traffic_class] = lesson
                self._tails[model_index].append(lesson.tail)
        return lesson

    def own_time_s(self, journey: Journey, attempt: Attempt) -> float:
        """How long an attempt is waited for before another may be asked."""
        tail_s = self._of(journey, attempt).tail.seconds
        return own_time_s(journey.time_left_s(attempt.begun_s), journey.slo_s, tail_s)

    def may_repeat(self, journey: Journey, attempt: Attempt) -> bool:
        """Whether its request may be asked again, though it may be under way or the model busy.

        Of an endpoint that is ejected what is under way is known to be lost.
        """
        budget = self._of(journey, attempt).budget
        return not budget.is_spent or self._health.is_ejected(attempt.target.key)

    def may_go_on(self, journey: Journey, last: Attempt, to: Target) -> bool:
        """Whether that one may be asked what the last attempt was refused.

        Another model always, but for what is busy: where all are, nobody would be served the
        sooner. A model whose callers come from a busy one is not busy itself while it answers.
        """
        if to.model_index == last.target.model_index:
            return self.may_repeat(journey, last)
        if not STATUS_MEANINGS[last.code].is_busy or self.may_repeat(journey, last):
            return True
        return not self.of(to.model_index, journey.cell.traffic_class).budget.is_spent

    def silence_s(self, journey: Journey, attempt: Attempt) -> float:
        """How long an answer may be silent between its pieces: as long as a whole one takes, as a
        rule; of a model whose answers are not known, until the deadline.
        """
        tail = self._of(journey, attempt).tail
        of_class_s, of_all_s = self._tails_by_now(attempt.target.model_index, tail)
        tail_s = of_all_s if of_class_s is None else of_class_s
        return inf if tail_s is None else max(tail_s, SILENCE_S_MIN)

    def hear(self, attempt: Attempt, now_s: float) -> None:
        """Notes that an endpoint is not silent: the first of an answer has come.

        Whether it is well is not known before the last.
        """
        self._health.record_poor_answer(attempt.target.key, now_s=now_s)

    def give_up(self, journey: Journey, attempt: Attempt) -> None:
        """Charges an attempt that is given up while it is out; many may be given up together."""
        self._of(journey, attempt).budget.record_failure()

    def observe(self, journey: Journey, attempt: Attempt) -> None:
        """Learns from an attempt that has ended. Some blame waits for the end of the journey."""
        target, fate = attempt.target, attempt.fate
        tail, budget = self.of(target.model_index, journey.cell.traffic_class)
        endpoint = target.key
        if fate is ANSWERED:
            budget.record_answer()
            tail.observe(attempt.took_s)
            self._health.record_success(endpoint, sent_s=attempt.begun_s, now_s=attempt.ended_s)
            return
        if attempt.blame is Blame.SILENCE or attempt.is_answering:  # judged by what is known now
            attempt.tails = self._tails_by_now(target.model_index, tail)
        if fate is GIVEN_UP or self._was_cut_short(attempt):
            tail.outlasted(attempt.took_s)
        if fate is FAILED:
            self._observe_failure(journey, attempt, budget)

    def _observe_failure(self, journey: Journey, attempt: Attempt, budget: ClassBudget) -> None:
        endpoint, sent_s, ended_s = attempt.target.key, attempt.begun_s, attempt.ended_s
        if _takes_a_token(journey, attempt):
            budget.record_failure()
        if attempt.retry_after_s is not None:
            self._health.rest(endpoint, seconds=attempt.retry_after_s, now_s=ended_s)
        if attempt.blame is Blame.ENDPOINT:
            self._health.record_failure(endpoint, sent_s=sent_s, now_s=ended_s)
        elif attempt.blame is not Blame.SILENCE:
            self._health.record_poor_answer(endpoint, now_s=ended_s)

    def conclude(self, journey: Journey) -> None:
        """Learns from a journey that has ended: who failed where another answered is to blame,
        and so is who was silent.
        """
        attempts = journey.attempts
        if len(attempts) == 1 and attempts[0].fate is ANSWERED:
            return  # most journeys end here
        for attempt, charge in convicted(journey, self._health):
            self._health.record_failure(
                attempt.target.key,
                sent_s=attempt.begun_s,
                now_s=journey.ended_s,
                is_silent=charge is Charge.SILENT,
            )

    def _was_cut_short(self, attempt: Attempt) -> bool:
        """Whether the deadline came beyond the tail, though the endpoint answered others meanwhile.

        Or of requests that take long, only those would be known whose callers wait for them; and
        the rest would be taken for silence once there is nobody else to be answered.
        """
        tail_s = attempt.tails.of_class_s
        is_beyond = tail_s is not None and attempt.took_s > tail_s
        return is_beyond and self._health.was_heard(attempt.target.key, since_s=attempt.begun_s)

    def _of(self, journey: Journey, attempt: Attempt) -> Lesson:
        return self.of(attempt.target.model_index, journey.cell.traffic_class)

    def _tails_by_now(self, model_index: int, of_class: Tail) -> Tails:
        known = [tail.seconds for tail in self._tails[model_index] if tail.seconds is not None]
        return Tails(of_class.seconds, max(known, default=None))


def _takes_a_token(journey: Journey, attempt: Attempt) -> bool:
    """Of an attempt that failed. One whose caller had no more time cannot be asked again."""
    is_over = attempt.code is Code.DEADLINE_EXCEEDED and journey.is_due(attempt.ended_s)
    return STATUS_MEANINGS[attempt.code].retry and not is_over
