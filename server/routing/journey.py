"""A request on its way: from how each attempt ended, a journey decides what comes next. No I/O.

All that is counted of a request is read off its finished attempts, so that it cannot disagree.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf

from server.latency_buckets import latency_bucket
from server.routing.catalog import Cell
from server.routing.counters import Counters, Counts
from server.routing.endpoints import Target
from server.routing.errors import DeadlinePast
from server.routing.patience import NO_TAILS, Tails
from server.routing.price import charge, charge_unanswered
from server.routing.status_meaning import STATUS_MEANINGS, Blame
from server.status_code import Code
from server.token_usage import NO_TOKENS, TokenUsage

# One more is asked before the caller hears of a failure: a second retry would add load just when a
# fleet is in trouble.
RETRIES_MAX = 1
# What the way back takes: a retry or an answer later than this before the deadline is no use.
MARGIN_S = 0.005
# Of the time that a caller gave, what counts as near its end. Its clock began when it sent and ours
# when that was read: where many send at once, as before a fleet that hangs, some hundredths later.
NEAR_DEADLINE, NEAR_DEADLINE_S_MAX = 0.1, 1.0


class Purpose(Enum):
    """Why an attempt was made."""

    FIRST = "first"  # the decision's own model
    RETRY = "retry"  # after an attempt that was not answered


class Fate(Enum):
    """How an attempt or a whole request ended."""

    ANSWERED = "answered"
    FAILED = "failed"  # with a code; a deadline that passed is one
    GIVEN_UP = "given up"  # we gave it up, and asked another
    LEFT = "left"  # the caller left before the deadline


# To ask an enum for its member takes twenty times as long as to ask the module.
FIRST, RETRY = Purpose
ANSWERED, FAILED, GIVEN_UP, LEFT = Fate


@dataclass(slots=True)
class Attempt:
    """One call to one endpoint. Ended once; everything that is counted of it is derived from it."""

    target: Target
    purpose: Purpose
    begun_s: float
    ended_s: float = 0.0
    fate: Fate | None = None  # None while it is out
    code: Code = Code.OK  # what it failed with
    # What we saw of it: it counts only where the endpoint does not tell.
    input_tokens: int = 0
    output_tokens: int = 0
    usage: TokenUsage = NO_TOKENS  # what it is charged for, once it has ended
    is_estimated: bool = False  # the usage is: its endpoint did not tell
    is_guessed: bool = False  # nothing was seen of what it wrote either
    cost_nano_usd: int = 0
    retry_after_s: float | None = None  # what its endpoint said, which did not answer it
    tails: Tails = NO_TAILS  # how long nearly all answers of its model take
    is_answering: bool = False  # the first of its answer has come: nobody else is asked
    first_s: float = 0.0  # when it came
    blocked_s: float = 0.0  # for so long the endpoint waited for the caller to read

    @property
    def took_s(self) -> float:
        return self.ended_s - self.begun_s - self.blocked_s

    @property
    def blame(self) -> Blame:
        """Whom it speaks against that this attempt was not answered."""
        if self.fate is GIVEN_UP:
            return Blame.SILENCE
        if self.fate is not FAILED:
            return Blame.CALLER
        blame = STATUS_MEANINGS[self.code].blame
        return _blame_of_broken(blame) if self.is_answering else blame

    def begin_answer(self, now_s: float, *, input_tokens: int) -> None:
        """The first of an answer has come; what comes of it is paid for, whatever its end."""
        self.is_answering, self.first_s, self.input_tokens = True, now_s, input_tokens

    def end_with_answer(self, now_s: float, usage: TokenUsage) -> None:
        """The attempt was answered: it costs what the model charges for an answer."""
        self.fate, self.ended_s, self.usage = ANSWERED, now_s, usage
        self.cost_nano_usd = charge(self.target.model.price, usage, self.took_s)

    def end_untold(self, now_s: float, *, read_tokens: int, expected_tokens: int) -> None:
        """The same, by an endpoint that does not tell what it read and wrote.

        It wrote what was seen; where nothing of it could be, as much as is expected.
        """
        self.is_estimated, self.is_guessed = True, not self.output_tokens
        wrote = self.output_tokens or expected_tokens
        self.end_with_answer(now_s, TokenUsage(input=read_tokens, output=wrote))

    def end_without_answer(
        self, fate: Fate, now_s: float, code: Code = Code.OK, retry_after_s: float | None = None
    ) -> None:
        """The attempt was not answered, or not to the end.

        It costs the time that it held the model, or all that an answer does which had begun.
        """
        self.fate, self.ended_s, self.code = fate, now_s, code
        self.retry_after_s = retry_after_s
        price = self.target.model.price
        if self.is_answering:
            self.is_estimated = True
            self.usage = TokenUsage(input=self.input_tokens, output=self.output_tokens)
            self.cost_nano_usd = charge(price, self.usage, self.took_s)
        else:
            self.cost_nano_usd = charge_unanswered(price, self.took_s)

    def give_up(self, now_s: float) -> None:
        """We stop waiting: if nobody is asked after it, the caller was made to wait too long."""
        self.end_without_answer(GIVEN_UP, now_s, Code.DEADLINE_EXCEEDED)

    def abandon(self, now_s: float, *, is_due: bool) -> None:
        """The caller is gone: the deadline passed, or the caller left before."""
        if is_due:
            self.end_without_answer(FAILED, now_s, Code.DEADLINE_EXCEEDED)
        else:
            self.end_without_answer(LEFT, now_s)


@dataclass(slots=True)
class Journey:
    """A request from its arrival to its end, with all its attempts."""

    cell: Cell
    first: str  # the model that was asked first
    begun_s: float
    slo_s: float | None
    deadline_s: float = inf  # on the clock of all times here
    class_deadline_s: float = inf  # how long its class waits where a caller says nothing
    attempts: list[Attempt] = field(default_factory=list)
    blocked_s: float = 0.0  # for so long the caller did not read
    ended_s: float = 0.0

    @property
    def fate(self) -> Fate:
        """How the request ended: as its last attempt did."""
        fate = self.attempts[-1].fate if self.attempts else None
        return FAILED if fate is GIVEN_UP else fate or LEFT

    @property
    def latency_s(self) -> float:
        return self.ended_s - self.begun_s - self.blocked_s

    @property
    def cost_nano_usd(self) -> int:
        """What all attempts cost together."""
        attempts = self.attempts
        if len(attempts) == 1:  # most have one
            return attempts[0].cost_nano_usd
        return sum(attempt.cost_nano_usd for attempt in attempts)

    @property
    def targets(self) -> list[Target]:
        """Who was asked."""
        return [attempt.target for attempt in self.attempts]

    def time_left_s(self, now_s: float) -> float:
        """How long an endpoint may take: until the deadline, less the way back."""
        return self.deadline_s - MARGIN_S - now_s

    def is_due(self, now_s: float) -> bool:
        """Whether the deadline has passed, or nearly: who leaves now was made to wait too long."""
        near_s = min(NEAR_DEADLINE * (self.deadline_s - self.begun_s), NEAR_DEADLINE_S_MAX)
        return self.time_left_s(now_s) <= max(near_s, MARGIN_S)

    def may_move_on(self, now_s: float, own_s: float) -> bool:
        """Whether time for one more is left, once the attempt that is out had its own.

        Half as much at least: who looks does so a little late.
        """
        return len(self.attempts) <= RETRIES_MAX and self.time_left_s(now_s) >= own_s / 2

    def goes_on(self, now_s: float) -> bool:
        """Whether another attempt, or the first, is to be made."""
        if self.time_left_s(now_s) <= 0 or len(self.attempts) > RETRIES_MAX:
            return False
        return not self.attempts or _leads_on(self.attempts[-1])

    def begin(self, target: Target, now_s: float) -> Attempt:
        """The attempt to make now."""
        attempt = Attempt(target, RETRY if self.attempts else FIRST, now_s)
        self.attempts.append(attempt)
        return attempt

    @property
    def is_late(self) -> bool:
        slo_s = self.slo_s
        return slo_s is not None and self.ended_s - self.begun_s - self.blocked_s > slo_s

    @property
    def says_something(self) -> bool:
        """Whether its end counts for the model it began with.

        A caller's own garbage does not, or one tenant's would shape the plan; nor does a caller
        that left within the SLO. An answer that broke off does, whatever with.
        """
        fate = self.fate
        if fate is FAILED:
            last = self.attempts[-1]
            return last.is_answering or STATUS_MEANINGS[last.code].misses
        return fate is ANSWERED or self.is_late


def hold_time(timeout_s: float) -> None:
    """Raises DeadlinePast."""
    if timeout_s <= MARGIN_S:
        raise DeadlinePast("the deadline leaves no time to ask a model: allow more")


def _blame_of_broken(blame: Blame) -> Blame:
    """Whom it speaks against that an answer broke off: what it was that came is not compared.

    Where the deadline passed, it was the deadline that the caller gave.
    """
    return Blame.ENDPOINT if blame in (Blame.ENDPOINT, Blame.COMPARED) else Blame.CALLER


def _leads_on(attempt: Attempt) -> bool:
    """Whether another model may do better after an attempt that ended like this."""
    if attempt.is_answering:
        return False
    if attempt.fate is FAILED:
        return STATUS_MEANINGS[attempt.code].retry
    return attempt.fate is GIVEN_UP


def count_journey(journey: Journey, counters: Counters) -> None:
    """Counts a journey that has ended, unless it led to nobody."""
    if not journey.attempts:
        return
    cell, first = journey.cell, journey.first
    of_first = counters.of(cell, first, first)
    for attempt in journey.attempts:
        model = attempt.target.model.name
        _count_attempt(attempt, of_first if model == first else counters.of(cell, first, model))
    _count_whole(journey, of_first)


def _count_whole(journey: Journey, counts: Counts) -> None:
    counts.ended += 1
    fate = journey.fate
    if fate is ANSWERED or journey.says_something:
        counts.completed += 1
        counts.latency_counts[latency_bucket(journey.latency_s)] += 1
        if fate is FAILED:
            counts.failed += 1
        if fate is FAILED or journey.is_late:
            counts.slo_missed += 1


def _count_attempt(attempt: Attempt, counts: Counts) -> None:
    counts.attempts += 1
    counts.answered += attempt.fate is ANSWERED
    counts.busy_s += attempt.took_s
    counts.cost_nano_usd += attempt.cost_nano_usd
    usage = attempt.usage
    if usage is not NO_TOKENS:
        _count_tokens(attempt, usage, counts)


def _count_tokens(attempt: Attempt, usage: TokenUsage, counts: Counts) -> None:
    """What was guessed is money, but no news of how much the model writes."""
    counts.input_tokens += usage.all_input
    counts.cached_input_tokens += usage.cached_input
    counts.cache_write_input_tokens += usage.cache_write_input
    if attempt.is_estimated:
        counts.estimated += 1
        counts.estimated_nano_usd += attempt.cost_nano_usd
    if attempt.is_guessed:
        counts.guessed += 1
    else:
        counts.output_tokens += usage.all_output
        counts.reasoning_tokens += usage.reasoning
