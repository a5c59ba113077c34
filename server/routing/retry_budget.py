"""How much may be asked again before that becomes a storm, by gRFC A6.

Each failed attempt takes 1 of the budget, each answer gives a part of that back, and while no more
than half is left nothing is asked again that would add work to what may still be under way. Nor
is it for a class that has taken as much as it leaves: or one whose callers give up soon, and are
never answered, would leave nothing to the rest.
"""

# So many answers make up for one failed attempt. Where everything is slow, one request in ten is
# asked again, which a fleet that is planned to its capacity can bear; the example of A6 has it too.
ANSWERS_PER_FAILURE = 10
# A quarter of them are what may be asked again at once for one class: the calls that an endpoint of
# a busy model holds when it stops answering, some fifty, of one worker. A6 allows up to 1,000.
BUDGET_MAX = 200

_FULL = BUDGET_MAX * ANSWERS_PER_FAILURE


class RetryBudget:
    """Of one model at one worker."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = _FULL  # an answer gives 1

    @property
    def left(self) -> int:
        """How many parts may still be spent."""
        return max(self._parts - _FULL // 2, 0)

    @property
    def missing(self) -> int:
        """How many parts were taken, and not given back."""
        return _FULL - self._parts

    def record_answer(self) -> None:
        if self._parts < _FULL:
            self._parts += 1

    def record_failure(self) -> None:
        self._parts = max(self._parts - ANSWERS_PER_FAILURE, 0)


class ClassBudget:
    """What one class may take of its model's."""

    __slots__ = ("_of_model", "_taken")

    def __init__(self, of_model: RetryBudget) -> None:
        self._of_model = of_model
        self._taken = 0  # parts; others' answers may have given them back since

    @property
    def is_spent(self) -> bool:
        return self._of_model.left <= min(self._taken, self._of_model.missing)

    def record_answer(self) -> None:
        self._of_model.record_answer()
        if self._taken:
            self._taken -= 1

    def record_failure(self) -> None:
        self._taken = min(self._taken, self._of_model.missing) + ANSWERS_PER_FAILURE
        self._of_model.record_failure()
