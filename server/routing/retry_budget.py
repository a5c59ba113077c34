"""How much may be asked again before that becomes a storm, by gRFC A6.

Each failed attempt takes 1 of the budget, each answer gives a part of that back, and while no more
than half is left nothing is asked again that would add work to what may still be under way.
"""

# So many answers make up for one failed attempt. Where everything is slow, one request in ten is
# asked again, which a fleet that is planned to its capacity can bear; the example of A6 has it too.
ANSWERS_PER_FAILURE = 10
# Half of them are what may be asked again at once: the calls that an endpoint of a busy model holds
# when it stops answering, some fifty, of one worker. A6 allows up to 1,000.
BUDGET_MAX = 100

_FULL = BUDGET_MAX * ANSWERS_PER_FAILURE


class RetryBudget:
    """Of one model at one worker."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = _FULL  # an answer gives 1

    @property
    def is_spent(self) -> bool:
        return self._parts <= _FULL // 2

    def record_answer(self) -> None:
        if self._parts < _FULL:
            self._parts += 1

    def record_failure(self) -> None:
        self._parts = max(self._parts - ANSWERS_PER_FAILURE, 0)
